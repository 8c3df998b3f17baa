"""In: a problem, a network and z. Out: the pictures of a fit. One degraded picture is the whole data set."""

import hashlib
import time
from collections.abc import Callable

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from dip_exp.errors import Failed, Refused, first_line
from dip_exp.fit.history import History
from dip_exp.fit.posterior import Posterior
from dip_exp.fit.rollback import Rollback
from dip_exp.optims.optim import Optim, leave_gradients
from dip_exp.seeds import mix
from dip_exp.shapes import Float, Int
from dip_exp.stopping.rule import Keep, State, StopRule, Verdict, View
from dip_exp.tasks.problem import Problem


class Fit(pl.LightningModule):
    """min over theta of E(f_theta(z + sigma_p n_t); y): the paper's eq. 2. A batch is one step and holds its number.

    Nothing is drawn from a global generator: n_t depends on (seed, t) only, so a resumed run sees the same noise. The
    network stays in train mode throughout, so its BatchNorm uses the one picture's statistics, also for the last
    output.
    """

    def __init__(
        self,
        problem: Problem,
        net: nn.Module,
        z: Float[Tensor, "1 c h w"],
        *,
        optim: Optim,
        stop: StopRule,
        perturb_std: float = 0.0,
        final: str = "perturbed",
        seed: int = 0,
        every: int = 50,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net
        self.z = nn.Parameter(z.clone()) if optim.over != "net" else z
        self._drawn = hashlib.sha256(z.detach().float().cpu().contiguous().numpy().tobytes()).hexdigest()
        leave_gradients(self.net, optim.over)
        self.problem = stop.pose(problem, z, seed)
        if stop.ends and optim.sampling() is not None:
            raise ValueError(
                f"optim: {type(optim).__name__} draws its samples in the last part of optim.steps, and the stop rule "
                f"{type(stop).__name__} may end the run before; use stop=fixed or stop=watch"
            )
        self.optim = optim
        self.stop = stop
        self.perturb_std = perturb_std
        self.final = final
        self.seed = seed
        self.every = every
        self.start = 0
        self.kept: dict[str, Tensor] = {}
        self.kept_steps: dict[str, Tensor] = {}
        self.reason = f"optim.steps: {optim.steps} steps were asked for"
        self.by_rule = False  # whether the stop rule ended the run
        self.broken = False  # whether a loss that is not finite ended it
        self.breaks_off = False  # whether it then ends with what it has; otherwise it fails
        self.checked = False
        self.ended = False
        self.final_picture: Tensor | None = None
        self._cpu_before: float | None = 0.0
        self._resumed: State | None = None
        self._instead = ""

    @property
    def optimised(self) -> list[nn.Parameter]:
        """The parameters that are optimised: those of the network and z that require a gradient."""
        return [p for p in self.parameters() if p.requires_grad]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optim.build(self.optimised)

    def on_fit_start(self) -> None:
        """Moves everything except the network to the network's device and dtype, and restores an interrupted run."""
        dtype = next(self.parameters()).dtype
        self.problem = self.problem.to(self.device, dtype)
        if not isinstance(self.z, nn.Parameter):
            self.z = self.z.to(self.device, dtype)
        self.noise = torch.Generator(device=self.device)
        self.history = History(self.optim.steps, self.problem)
        self.average = torch.zeros((1, *self.problem.shape), device=self.device, dtype=self.problem.y.dtype)
        sampling = self.optim.sampling()
        self.posterior = None if sampling is None else Posterior(sampling.first, sampling.every)
        optimizer = self._optimizer()
        self.rollback = None if self.optim.rollback == "none" else Rollback(self.optim.rollback, self, optimizer)
        self.net.train()
        memory = max(1, round(1 / (1 - self.optim.average)))
        self.stop.begin(View(self.problem, self.average, memory, self.seed))
        if self._resumed is not None:
            try:
                self._take_up(self._resumed, optimizer)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
                why = f"{type(error).__name__}: {first_line(error)}"
                raise Refused(f"checkpoint: it does not fit this run ({why}); {self._instead}") from error
        self._looked_at = self.start
        self._seconds_before = float(self.history.seconds[self.start - 1]) if self.start else 0.0
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        if self.ended:
            self.on_train_end()

    def on_train_end(self) -> None:
        """Computes the last picture while network and z are still on the device of the fit."""
        last = self.last_picture()
        if self.broken and not bool(torch.isfinite(last).all()):
            last = self.x_hat
        self.final_picture = last
        self.history.consider_last(last)

    def _optimizer(self) -> torch.optim.Optimizer:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    # -- one step ------------------------------------------------------------------------------------------------------

    def z_at(self, step: int) -> Float[Tensor, "1 c h w"]:
        """Returns z as used in step `step` (from 0), (1, C, H, W)."""
        if self.perturb_std == 0:
            return self.z
        self.noise.manual_seed(mix(self.seed, step))
        n = torch.randn(self.z.shape, generator=self.noise, device=self.z.device, dtype=self.z.dtype)
        return self.z + self.perturb_std * n

    def forward(self, z: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 C H W"]:
        """Returns x_hat, cropped to the picture, so that loss and scores see original pixels only."""
        _, height, width = self.problem.shape
        return self.net(z)[..., :height, :width].to(self.z.dtype)

    def training_step(self, batch: int | Int[Tensor, ""], batch_idx: int) -> None:
        step = int(batch)
        optimizer = self._optimizer()
        self._move_weights(step)
        z = self.z_at(step)

        def evaluate() -> tuple[Tensor, Tensor, Tensor]:
            optimizer.zero_grad()
            x_hat = self(z)
            with torch.autocast(self.device.type, enabled=False):  # operator and loss use full precision
                loss, data = self.problem.terms(x_hat)
                extra = self.stop.extra(step, z, x_hat, self)
                loss = loss if extra is None else loss + extra
                self.manual_backward(loss)  # autocast is for the forward pass only
            if self.optim.clip is not None:
                nn.utils.clip_grad_norm_(self.parameters(), self.optim.clip)
            return x_hat.detach(), loss.detach(), data.detach()

        x_hat, loss, data = evaluate()
        refused = self.rollback is not None and self.rollback.refuses(step, loss)
        if not refused:
            first = [loss]  # L-BFGS first evaluates the current point, whose loss is already known
            optimizer.step(lambda: first.pop() if first else evaluate()[1])  # type: ignore[arg-type]
            self._diffuse(step)
        self._note(step, x_hat, loss, data, accepted=not refused)

    def _move_weights(self, step: int) -> None:
        share = self.optim.weight_noise
        if share > 0:
            self._shake(0x5DEECE66D, step, lambda kernel: share * kernel.std())

    def _diffuse(self, step: int) -> None:
        std = self.optim.diffusion()
        if std > 0:
            self._shake(0x2545F4914F6CDD1D, step, lambda _: std)

    def _shake(self, stream: int, step: int, std: Callable[[Tensor], Tensor | float]) -> None:
        """Adds noise to every kernel permanently, with standard deviation `std(kernel)`; the noise depends on (seed,
        stream, step) only."""
        self.noise.manual_seed(mix(self.seed ^ stream, step))
        with torch.no_grad():
            for kernel in (p for p in self.net.parameters() if p.ndim == 4):
                n = torch.randn(kernel.shape, generator=self.noise, device=kernel.device, dtype=kernel.dtype)
                kernel.add_(n * std(kernel))

    def _note(
        self,
        step: int,
        x_hat: Float[Tensor, "1 C H W"],
        loss: Float[Tensor, ""],
        data: Float[Tensor, ""],
        *,
        accepted: bool,
    ) -> None:
        """Updates the average, asks the stop rule, and checks the run every `every` steps."""
        at_once = self.device.type == "cpu" or self.rollback is not None or self.breaks_off  # a GPU would have to wait
        is_finite = not at_once or bool(torch.isfinite(loss))
        if accepted and not is_finite:
            self._break(step, float(loss))
            return
        if step == 0:
            self.average.copy_(x_hat)
        elif accepted:
            self.average.lerp_(x_hat, 1 - self.optim.average)
        seconds = self._seconds_before + time.perf_counter() - self._began
        self.history.add(step, seconds, loss, data, x_hat, self.average)
        if self.posterior is not None and accepted:
            self.posterior.add(step, x_hat)
        verdict = self.stop.update(step, x_hat, loss) if is_finite else Verdict()
        for kind, keep in {"stopped": verdict.keep, **verdict.also}.items():
            self._keep(kind, keep, step)
        if verdict.stop:
            self.reason, self.by_rule = verdict.reason, True
            self.trainer.should_stop = True
        self.x_hat = x_hat if is_finite else self.x_hat
        self.ended = verdict.stop or step + 1 == self.optim.steps
        self.checked = self.ended or step == 0 or (step + 1) % self.every == 0
        if self.checked and not at_once:
            self._check_finite()

    def _keep(self, kind: str, keep: Keep, step: int) -> None:
        """Keeps the average as the picture of `kind` if `keep` is true; on a GPU without waiting for it."""
        if kind not in self.kept:
            self.kept[kind] = torch.zeros_like(self.average)
            self.kept_steps[kind] = torch.full((), -1, dtype=torch.int64, device=self.device)
        if keep is False:
            return
        if isinstance(keep, bool) or keep.device.type == "cpu":
            if keep:
                self.kept[kind].copy_(self.average)
                self.kept_steps[kind].fill_(step)
            return
        self.kept[kind] = torch.where(keep, self.average, self.kept[kind])
        self.kept_steps[kind] = torch.where(keep, step, self.kept_steps[kind])

    def chosen(self) -> dict[str, tuple[int, Float[Tensor, "1 C H W"]]]:
        """Returns what the stop rule kept, {kind: (step from 0, picture)}; the last average if it never kept one."""
        last = (self.history.done - 1, self.average)
        steps = {kind: int(step) for kind, step in self.kept_steps.items()}
        return {kind: (step, self.kept[kind]) if step >= 0 else last for kind, step in steps.items()}

    def _check_finite(self) -> None:
        bad = self.history.first_bad_step(self._looked_at)
        if bad is not None:
            self._break(bad, float(self.history.series[bad, 0]))
        self._looked_at = self.history.done

    def _break(self, step: int, loss: float) -> None:
        """Ends the fit at a step (from 0) whose loss is not finite, with what it had before. Raises Failed if it is not
        to end so, or has nothing."""
        if step == 0 or not self.breaks_off:
            raise Failed(
                f"fit: the loss of step {step + 1} is {loss}; a finite one is needed. Try a smaller step "
                f"(optim.lr={self.optim.lr / 10:g}), optim.clip=1, optim.rollback=right (goes back a step), "
                f"trainer.diverged=stop (ends with what was found), or precision=fp64"
            )
        self.broken = self.ended = self.checked = True
        self.reason = f"fit: the loss of step {step + 1} is {loss}; the pictures are those of the steps before"
        self.trainer.should_stop = True

    # -- after the last step, and across interruptions -----------------------------------------------------------------

    @torch.no_grad()
    def last_picture(self) -> Float[Tensor, "1 C H W"]:
        """Returns f_theta(z) after the last update, with the last step's z or the clean one, in train mode."""
        z = self.z if self.final == "clean" else self.z_at(max(self.history.done - 1, 0))
        with self.trainer.precision_plugin.forward_context():
            return self(z).detach().clone()

    @property
    def cpu_seconds(self) -> float | None:
        """Processor time of the steps over all threads; None for a run that began before this was recorded."""
        return None if self._cpu_before is None else self._cpu_before + time.process_time() - self._cpu_began

    def snapshot(self) -> State:
        """Returns everything that the next step depends on and all that was kept, readable with `weights_only=True`."""
        return {
            "of": self._of(),
            "z": self._drawn,
            "start": self.history.done,
            "ended": self.ended,
            "reason": self.reason,
            "by_rule": self.by_rule,
            "cpu_seconds": self.cpu_seconds,
            "parameters": self.state_dict(),
            "optimizer": self._optimizer().state_dict(),
            "rule": type(self.stop).__name__,
            "stop": self.stop.state(),
            "history": self.history.state(),
            "average": self.average,
            "x_hat": self.x_hat,
            "kept": self.kept,
            "kept_steps": self.kept_steps,
            "rollback": None if self.rollback is None else self.rollback.state(),
            "posterior": None if self.posterior is None else self.posterior.state(),
        }

    def resume(self, snapshot: State, instead: str = "begin again without it") -> None:
        """Makes the fit continue from a `snapshot`; to be called before the trainer starts. A snapshot that ended with
        fewer steps than `optim.steps` now says, and not by its stop rule, continues too.

        instead: what to do if it is refused, in words. Raises ValueError if the snapshot is of another observation,
        seed or stop rule, or no snapshot at all.
        """
        if not isinstance(snapshot, dict) or not {"of", "start", "ended", "reason"} <= set(snapshot):
            raise ValueError(f"checkpoint: it is no snapshot of a fit; {instead}")
        if snapshot["of"] != self._of():
            raise ValueError(f"checkpoint: it is of another observation or seed; give another file, or {instead}")
        if snapshot.get("z", self._drawn) != self._drawn:
            raise ValueError(
                f"checkpoint: its z is another picture, as another version of a classical restorer makes it; {instead}"
            )
        rule = type(self.stop).__name__
        if snapshot.get("rule", rule) != rule:
            raise ValueError(f"checkpoint: it is of the stop rule {snapshot['rule']}; given {rule}; {instead}")
        self._resumed, self._instead = snapshot, instead
        self.start = snapshot["start"]
        self._cpu_before = snapshot.get("cpu_seconds")
        by_rule = snapshot["ended"] and not snapshot["reason"].startswith(
            "optim.steps: "
        )  # a checkpoint from before `by_rule` existed
        self.by_rule = snapshot.get("by_rule", by_rule)
        self.ended = snapshot["ended"] and (self.by_rule or self.start >= self.optim.steps)
        if self.by_rule:
            self.reason = snapshot["reason"]

    def _of(self) -> str:
        """Returns a hash of the seed and the observation, which identifies the fit."""
        y = self.problem.y.detach().float().cpu().numpy()
        return hashlib.sha256(f"{self.seed} {y.shape}".encode() + y.tobytes()).hexdigest()

    def _take_up(self, snapshot: State, optimizer: torch.optim.Optimizer) -> None:
        self.load_state_dict(snapshot["parameters"])
        optimizer.load_state_dict(snapshot["optimizer"])
        self.stop.load(snapshot["stop"])
        self.history.load(snapshot["history"])
        if snapshot["average"].shape != self.average.shape:  # copying would stretch it
            raise ValueError(f"its average has the shape {tuple(snapshot['average'].shape)}")
        self.average.copy_(snapshot["average"])
        self.x_hat = snapshot.get("x_hat", self.average).to(self.device)  # older checkpoints lack it
        self.kept = {kind: picture.to(self.device) for kind, picture in snapshot["kept"].items()}
        self.kept_steps = {kind: step.to(self.device) for kind, step in snapshot["kept_steps"].items()}
        if self.rollback is not None:
            self.rollback.load(snapshot["rollback"])
        if self.posterior is not None:
            self.posterior.load(snapshot["posterior"], self.device)
        self._resumed = None
