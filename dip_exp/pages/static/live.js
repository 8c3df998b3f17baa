"use strict";
// The page of a run that goes on: `news` calls dip_exp_news; when it is gone, the run is finished and has its report.

(function () {
  const data = JSON.parse(find("#data").textContent);
  const state = find("#state"), told = find("#told"), bar = find("#progress"), rule = find("#rule"), end = rule.textContent;
  let viewer = null, plot = null, last = null, missed = 0;

  const say = (text) => { if (told.textContent !== text) told.textContent = text; };
  const time = (seconds) => {
    const whole = Math.round(seconds), minutes = Math.round(seconds / 60);
    return whole < 90 ? `${whole} s` : minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  };

  function picture(news) {
    const note = `step ${counted(news.done)}`;
    const current = { name: "current", label: "so far", note, src: `${data.current}?${news.written}`, alt: `the picture after ${news.done} steps` };
    if (viewer) { viewer.add(current); return; }
    const given = all("img.given").map((image) => ({ name: image.dataset.label, label: image.dataset.label, note: "", src: image.src, alt: image.alt }));
    viewer = new Viewer(find("#viewer"), [...given, current], [given[0]?.name ?? "current", "current"], data.size);
  }

  window.dip_exp_news = (news) => {
    missed = 0;
    if (last && last.written === news.written) { stale(news); return; }
    last = news;
    say("");
    const row = (name) => news.curve[name]?.at(-1), psnr = row("psnr_average"), left = news.pace === null ? "" : `, about ${time(news.pace * (news.steps - news.done))} left`;
    state.textContent = `step ${counted(news.done)} of ${counted(news.steps)}${left}; loss ${short(row("loss"))}${psnr ? `, PSNR of the average ${psnr.toFixed(2)} dB` : ""}`;
    document.title = `${Math.floor(100 * news.done / news.steps)}% ${find("h1").textContent}`;
    bar.max = news.steps;
    bar.value = news.done;
    const kept = Object.entries(news.kept).map(([name, step]) => `${name}: step ${counted(step)}`);
    rule.textContent = kept.length ? `${end} Chosen so far: ${kept.join(", ")}.` : end;
    picture(news);
    const marks = Object.entries(news.kept).map(([name, step]) => ({ step, label: `${name} so far: step ${counted(step)}`, sort: "result" }));
    const panels = curvePanels(news.curve);
    if (plot) plot.update(panels, marks); else plot = new Plot(find("#curve"), panels, marks);
  };

  function stale(news) {
    const silent = Date.now() / 1000 - news.written, usual = 60 + 3 * news.every + 5 * (news.pace ?? 0);
    if (silent <= usual) say(news.done === news.steps ? "all steps are done; the results are being written" : "");
    else say(`no news for ${time(silent)}, since step ${counted(news.done)}: the run may have been ended; the same command goes on from there`);
  }

  function over() { // the report is written before the news are taken away; one failure to read them says nothing
    missed += 1;
    if (missed < (last ? 3 : 20)) return;
    say("the run is finished");
    location.replace(data.report);
  }

  function ask() {
    const asked = make("script", { src: `${data.news}?${Date.now()}` });
    asked.addEventListener("load", () => asked.remove());
    asked.addEventListener("error", () => { asked.remove(); over(); });
    document.head.append(asked);
  }
  ask();
  setInterval(ask, 2000);
})();
