"use strict";
// The page of many runs. runs.js calls dip_exp_runs; curves.js, read when curves are to be seen, dip_exp_curves.

(function () {
  const data = JSON.parse(find("#data").textContent);
  const FILTERS = ["scale", "experiment", "task", "picture", "arch", "optim", "stop", "seed"];
  const COLUMNS = [ // heading, the value of a run, whether it is a number
    ["task", (run) => run.task], ["picture", (run) => run.picture], ["arch", (run) => run.arch], ["optim", (run) => run.optim],
    ["stop", (run) => run.stop], ["seed", (run) => run.seed], ["scale", (run) => run.scale],
    ["result dB", (run) => run.psnr, 2], ["SSIM", (run) => run.ssim, 3], ["classical dB", (run) => run.classical, 2],
    ["best dB (oracle)", (run) => run.best, 2], ["steps", (run) => run.steps, 0], ["seconds", (run) => run.seconds, 0],
  ];
  const SOME = 200, MOST = 12;
  let runs = [], byId = new Map(), curves = null, sorted = { column: null, down: true }, everything = false;
  const filters = {}, chosen = new Set();

  window.dip_exp_runs = ({ columns, rows }) => {
    runs = rows.map((row) => Object.fromEntries(columns.map((name, place) => [name, row[place]])));
    byId = new Map(runs.map((run) => [run.id, run]));
    build();
    fromAddress();
    show();
    compare();
  };
  window.dip_exp_curves = (found) => { curves = found; compare(); };

  function ask(file) {
    document.head.append(make("script", { src: file, onerror: () => { find("#counted").textContent = `${file} is not beside this page: make report writes it`; } }));
  }

  const listed = (run, name) => (name === "experiment" ? run.experiments : [String(run[name] ?? "")]);

  function build() {
    const bar = find("#filters");
    for (const name of FILTERS) {
      const values = [...new Set(runs.flatMap((run) => listed(run, name)))].filter(Boolean).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      if (values.length < 2) continue;
      filters[name] = make("select", { id: `filter-${name}`, onchange: changed }, make("option", { value: "" }, `any ${name}`), ...values.map((value) => make("option", { value }, value)));
      bar.append(make("label", {}, name, filters[name]));
    }
    filters.text = make("input", { type: "search", placeholder: "words", "aria-label": "words in any column", oninput: changed });
    filters.seen = make("input", { type: "checkbox", onchange: changed });
    bar.append(filters.text, make("label", {}, filters.seen, "with pictures"), make("button", { type: "button", onclick: reset }, "reset"));
    find("#tray").addEventListener("click", () => { find("#compared").scrollIntoView(); find("#compare select, #compare button")?.focus({ preventScroll: true }); });
    find("#more").addEventListener("click", () => { everything = true; show(); });
    const head = make("tr", {}, make("th", { scope: "col" }, "compare"), make("th", { scope: "col" }, ""));
    COLUMNS.forEach(([title], place) => head.append(make("th", { scope: "col", "aria-sort": "none" }, make("button", { type: "button", onclick: () => sort(place) }, title))));
    head.append(make("th", { scope: "col" }, "page"));
    find("#table").append(make("thead", {}, head), make("tbody"));
  }

  function reset() {
    for (const [name, control] of Object.entries(filters)) if (name === "seen") control.checked = false; else control.value = "";
    changed();
  }
  function changed() { everything = false; show(); toAddress(); }
  function sort(place) {
    sorted = { column: place, down: sorted.column === place ? !sorted.down : COLUMNS[place][2] !== undefined };
    all("#table thead th[aria-sort]").forEach((cell, number) => cell.setAttribute("aria-sort", number === place ? (sorted.down ? "descending" : "ascending") : "none"));
    show();
  }

  function matching() {
    const words = filters.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (run) => FILTERS.every((name) => !filters[name]?.value || listed(run, name).includes(filters[name].value))
      && (!filters.seen.checked || Object.keys(run.pictures).length > 0)
      && words.every((word) => (run.words ??= [run.id, run.commit, ...run.experiments, ...COLUMNS.slice(0, 7).map(([, value]) => value(run))].join(" ").toLowerCase()).includes(word));
    const found = runs.filter(fits);
    if (sorted.column === null) return found;
    const [, value, digits] = COLUMNS[sorted.column], sign = sorted.down ? -1 : 1;
    const missing = (one) => one === null || one === undefined || one === "";
    return found.sort((a, b) => { // what is not known comes last, either way
      const [x, y] = [value(a), value(b)];
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return sign * (digits !== undefined ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
    });
  }

  function show() {
    const found = matching(), part = everything ? found : found.slice(0, SOME);
    find("#counted").textContent = `${counted(found.length)} of ${counted(runs.length)} runs${part.length < found.length ? `, the first ${part.length} are shown` : ""}`;
    find("#more").hidden = part.length === found.length;
    find("#table tbody").replaceChildren(...part.map(line));
  }

  function line(run) {
    const box = make("input", { type: "checkbox", "aria-label": `compare ${run.task} of ${run.picture}, run ${run.id}`, value: run.id, onchange: (event) => pick(run.id, event.target.checked) });
    box.checked = chosen.has(run.id);
    const row = make("tr", {}, make("td", {}, box), make("td", {}, run.thumb ? make("img", { src: run.thumb, alt: run.thumb_of, title: run.thumb_of, loading: "lazy", width: 48, height: 48 }) : ""));
    for (const [, value, digits] of COLUMNS) {
      const one = value(run);
      row.append(digits === undefined ? make("td", {}, String(one ?? "")) : make("td", { class: "number" }, one === null || one === undefined ? "–" : digits ? one.toFixed(digits) : counted(Math.round(one))));
    }
    row.append(make("td", {}, run.page ? make("a", { href: run.page }, run.id) : make("span", { class: "note" }, run.id)));
    return row;
  }

  function pick(id, on) {
    if (on) chosen.add(id); else chosen.delete(id);
    if (chosen.size > MOST) {
      chosen.delete(id);
      find(`#table input[value="${CSS.escape(id)}"]`).checked = false;
      find("#limit").textContent = `at most ${MOST} runs are compared`;
      return;
    }
    find("#limit").textContent = "";
    toAddress();
    compare();
  }

  // -- side by side ---------------------------------------------------------------------------------------------------

  let lens = null, kind = "";
  function compare() {
    const root = find("#compare"), several = [...chosen].map((id) => byId.get(id)).filter(Boolean);
    find("#hint").hidden = several.length > 0;
    find("#tray").hidden = several.length === 0;
    find("#tray").textContent = `${several.length} side by side ↓`;
    if (!several.length) { root.replaceChildren(); return; }
    if (curves === null && !compare.asked) { compare.asked = true; ask(data.curves); }
    const kinds = [...new Set(several.flatMap((run) => Object.keys(run.pictures)))];
    if (!kinds.includes(kind)) kind = kinds.find((one) => several.some((run) => run.result === one)) ?? kinds[0] ?? "";
    const select = make("select", { id: "kind", onchange: (event) => { kind = event.target.value; compare(); find("#kind").focus(); } }, ...kinds.map((one) => make("option", { value: one, selected: one === kind }, one)));
    const before = lens ?? { zoom: 1, left: 0, top: 0 };
    lens = new Lens();
    root.replaceChildren(
      make("div", { class: "bar" }, ...(kinds.length ? [make("label", {}, "picture", select), ...zoomers(lens)] : []),
        named("clear", "compare no run", () => { chosen.clear(); toAddress(); compare(); show(); })),
      make("div", { class: "compared" }, ...several.map(column)), make("div", { id: "curves" }), differences(several));
    for (const view of all(".view", root)) steer(view, lens);
    follow(() => all(".view", root), lens, Math.max(...several.map((run) => run.width || 1)));
    lens.set(before.zoom, before.left, before.top);
    overlay(several);
  }

  function column(run, number) {
    const place = run.pictures[kind], view = make("div", { class: "view", tabindex: 0, role: "group", "aria-label": "plus and minus zoom, arrows move, 0 shows all" });
    if (place) {
      const image = make("img", { src: place, alt: `${kind} of ${run.task}, ${run.picture}, run ${run.id}` });
      image.addEventListener("load", () => view.style.setProperty("--tall", `${100 * image.naturalHeight / image.naturalWidth}%`));
      view.append(image);
    }
    const score = run.scores[kind]?.[0];
    return make("figure", { class: "picture" }, place ? view : make("p", { class: "under" }, `no picture${kind ? ` of ${kind}` : ""} is here`),
      make("figcaption", {}, key(number), make("span", { class: "label" }, `${run.task}, ${run.picture}, ${run.arch}`), ` seed ${run.seed} `, make("span", { class: "note" }, score === null || score === undefined ? run.id : `${score.toFixed(2)} dB, ${run.id}`)));
  }
  function key(number) { return make("svg", { viewBox: "0 0 30 10", width: 30, height: 10, "aria-hidden": "true" }, make("path", { d: "M0 5H30", fill: "none", "stroke-width": 3, class: `c${number % 8} d${dash(number)}` })); }
  function dash(number) { return (Math.floor(number / 8) + number) % 4; }

  function overlay(several) {
    if (!curves) return;
    const some = (run, name) => curves[run.id]?.[name]?.some((value) => value !== null);
    const lines = (name) => several.map((run, number) => ({ run, number })).filter(({ run }) => some(run, name)).map(({ run, number }) => ({ label: `${run.id} ${name === "loss" ? "loss" : "average"}`, colour: number % 8, dash: dash(number), x: curves[run.id].step, y: curves[run.id][name] }));
    const panels = [{ title: "PSNR of the running average, dB", log: false, lines: lines("psnr_average") }, { title: "loss", log: true, lines: lines("loss") }];
    if (panels.some((panel) => panel.lines.length)) new Plot(find("#curves"), panels);
    else find("#curves").replaceChildren(make("p", { class: "under" }, "no curves of these runs are here"));
  }

  function differences(several) {
    const names = ["experiment", "task", "picture", "arch", "input", "optim", "lr", "stop", "seed", "degrade seed", "precision", "scale", "steps", "seconds", "device", "weights", "commit"];
    const value = (run, name) => (name === "experiment" ? run.experiments.join(", ") : String(run[name.replace(" ", "_")] ?? ""));
    const rows = names.filter((name) => several.length === 1 || new Set(several.map((run) => value(run, name))).size > 1);
    const scored = [...new Set(several.flatMap((run) => Object.keys(run.scores)))];
    const score = (run, one) => run.scores[one]?.[0];
    return make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "where they differ" }, make("table", { class: "facts" },
      make("thead", {}, make("tr", {}, make("th", {}, several.length > 1 ? "where they differ" : "settings"), ...several.map((run, number) => make("th", { scope: "col" }, key(number), " ", run.page ? make("a", { href: run.page }, run.id) : run.id)))),
      make("tbody", {}, ...rows.map((name) => make("tr", {}, make("th", { scope: "row" }, name), ...several.map((run) => make("td", {}, value(run, name))))),
        ...scored.map((one) => make("tr", {}, make("th", { scope: "row" }, `${one}, dB`), ...several.map((run) => make("td", { class: "number" }, score(run, one)?.toFixed(2) ?? "–")))))));
  }

  // -- the address names what is seen --------------------------------------------------------------------------------

  function toAddress() {
    const said = new URLSearchParams();
    for (const name of FILTERS) if (filters[name]?.value) said.set(name, filters[name].value);
    if (filters.text.value) said.set("words", filters.text.value);
    if (chosen.size) said.set("compare", [...chosen].join(","));
    try { history.replaceState(null, "", `#${said}`); } catch { /* some browsers forbid it for files */ }
  }
  function fromAddress() {
    const said = new URLSearchParams(location.hash.slice(1));
    for (const name of FILTERS) if (filters[name] && said.has(name)) filters[name].value = said.get(name);
    filters.text.value = said.get("words") ?? "";
    for (const id of (said.get("compare") ?? "").split(",").filter((one) => byId.has(one)).slice(0, MOST)) chosen.add(id);
  }
  for (const link of all("nav a, a.skip")) link.addEventListener("click", (event) => { // the address keeps what is chosen
    event.preventDefault();
    const target = find(link.hash);
    target.tabIndex = -1;
    target.focus();
    target.scrollIntoView();
  });
  addEventListener("resize", () => { for (const watcher of lens?.watchers ?? []) watcher(); });
  ask(data.runs);
})();
