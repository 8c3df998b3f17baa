"use strict";
// Curves over steps. panels: [{title, log, lines: [{label, colour, dash, x, y}]}]; marks: [{step, label, sort}].

class Plot {
  constructor(root, panels, marks = []) {
    this.logarithmic = true;
    this.cursor = null;
    this.here = null;
    this.told = make("output", { "aria-live": "polite" });
    this.box = make("div", { class: "plot" });
    const check = make("input", { type: "checkbox", checked: true, onchange: (event) => { this.logarithmic = event.target.checked; this.draw(); } });
    this.legend = make("ul", { class: "legend" });
    this.list = make("ol", { class: "marks" });
    root.replaceChildren(make("div", { class: "bar" }, make("label", {}, check, "logarithmic steps"), this.told), this.legend, this.box, this.list);
    this.update(panels, marks);
    new ResizeObserver(() => { if (this.box.clientWidth !== this.width) this.draw(); }).observe(this.box);
  }
  update(panels, marks = []) { // other curves in the place of these; what the reader has chosen stays
    this.panels = panels.filter((panel) => panel.lines.length);
    this.marks = marks;
    this.steps = [...new Set(this.panels.flatMap((panel) => panel.lines.flatMap((line) => line.x)))].sort((a, b) => a - b);
    const lines = this.panels.flatMap((panel) => panel.lines);
    this.legend.replaceChildren(...lines.map((line) => make("li", {}, make("svg", { viewBox: "0 0 30 10", "aria-hidden": "true" }, make("path", { d: "M0 5H30", class: `c${line.colour} d${line.dash}` })), ` ${line.label}`)));
    this.list.replaceChildren(...marks.map((mark) => make("li", {}, mark.label)));
    this.list.hidden = marks.length === 0;
    this.draw();
  }
  at(step) { // the share of the width at which a step lies
    const first = this.steps[0], last = Math.max(this.steps[this.steps.length - 1], first + 1);
    if (!this.logarithmic) return (step - first) / (last - first);
    return Math.log(step / first) / Math.log(last / first);
  }
  _rows(x) { // the row of each mark's number, so that none lies over another
    const ends = [], rows = new Array(this.marks.length);
    for (const number of this.marks.map((_, n) => n).sort((a, b) => this.marks[a].step - this.marks[b].step)) {
      const place = x(this.marks[number].step);
      let row = ends.findIndex((end) => place - end > 20);
      if (row < 0) row = ends.length;
      ends[row] = place;
      rows[number] = row;
    }
    return rows;
  }
  draw() {
    const width = this.width = Math.max(this.box.clientWidth, 260), left = 52, right = 12, tall = width < 520 ? 150 : 210, gap = 34;
    const x = (step) => left + this.at(step) * (width - left - right), rows = this._rows(x), head = this.marks.length ? 6 + 20 * (1 + Math.max(...rows)) : 4, height = head + this.panels.length * (tall + gap) + 8;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "slider", "aria-label": "curve: arrows go from step to step", "aria-valuemin": this.steps[0], "aria-valuemax": this.steps[this.steps.length - 1], "aria-valuenow": this.steps[0] });
    this.panels.forEach((panel, number) => this._panel(svg, panel, x, { left, right: width - right, top: head + 14 + number * (tall + gap), bottom: head + 14 + number * (tall + gap) + tall - 14 }));
    const bottom = height - gap - 8 + 14;
    this.marks.forEach((mark, number) => {
      const place = between(x(mark.step), left, width - right), group = make("g", { class: `mark ${mark.sort}` });
      group.append(make("title", {}, mark.label), make("line", { x1: place, x2: place, y1: 20 + 20 * rows[number], y2: bottom }), make("circle", { cx: place, cy: 11 + 20 * rows[number], r: 9 }), make("text", { x: place, y: 15 + 20 * rows[number] }, String(number + 1)));
      svg.append(group);
    });
    this.lineOfCursor = make("line", { class: "cursor", y1: head, y2: bottom, visibility: "hidden" });
    this.lineOfHere = make("line", { class: "here", y1: head, y2: bottom, visibility: "hidden" });
    svg.append(this.lineOfHere, this.lineOfCursor);
    this.x = x;
    this.svg = svg;
    svg.addEventListener("pointermove", (event) => {
      const r = svg.getBoundingClientRect(), place = (event.clientX - r.left) * width / r.width;
      this.point(this.steps.reduce((best, step) => Math.abs(x(step) - place) < Math.abs(x(best) - place) ? step : best, this.steps[0]));
    });
    svg.addEventListener("keydown", (event) => {
      const far = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -25, PageUp: 25, Home: -1e9, End: 1e9 }[event.key];
      if (far === undefined) return;
      event.preventDefault();
      const place = this.cursor === null ? -1 : nearest(this.steps, this.cursor);
      this.point(this.steps[between(place + far, 0, this.steps.length - 1)]);
    });
    const focused = this.box.contains(document.activeElement);
    this.box.replaceChildren(svg);
    if (focused) svg.focus({ preventScroll: true });
    this.mark(this.here);
    if (this.cursor !== null) this.point(this.cursor);
  }
  _panel(svg, panel, x, { left, right, top, bottom }) {
    const values = panel.lines.flatMap((line) => line.y).filter((y) => y !== null && (!panel.log || y > 0));
    if (!values.length) return;
    const scale = panel.log ? Math.log10 : (y) => y, low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
    const from = scale(low), to = scale(high) > from ? scale(high) : from + 1, y = (value) => bottom - (scale(value) - from) / (to - from) * (bottom - top);
    svg.append(make("text", { x: left, y: top - 5, class: "title" }, panel.title));
    const heights = panel.log ? powers(low, high) : ticks(low, high, 5), apart = panel.log && heights.some((one) => Number.isInteger(Math.log10(one))) ? 0 : heights[1] - heights[0] || 0;
    for (const tick of heights) svg.append(make("line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "grid" }), make("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, short(tick, apart)));
    const last = this.steps[this.steps.length - 1], across = this.logarithmic ? powers(this.steps[0], last) : ticks(this.steps[0], last, right - left < 420 ? 4 : 8).filter(Number.isInteger);
    for (const tick of across) if (tick >= this.steps[0]) svg.append(make("line", { x1: x(tick), x2: x(tick), y1: top, y2: bottom, class: "grid" }), make("text", { x: x(tick), y: bottom + 15, "text-anchor": "middle" }, counted(tick)));
    for (const line of panel.lines) {
      let path = "", pen = "M";
      line.x.forEach((step, place) => {
        const value = line.y[place];
        if (value === null || (panel.log && value <= 0)) { pen = "M"; return; }
        path += `${pen}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = "L";
      });
      svg.append(make("path", { d: path, class: `line c${line.colour} d${line.dash}` }, make("title", {}, line.label)));
    }
  }
  point(step) { // reads the curves at a step
    this.cursor = step;
    for (const end of ["x1", "x2"]) this.lineOfCursor.setAttribute(end, this.x(step));
    this.lineOfCursor.setAttribute("visibility", "visible");
    const read = this.panels.flatMap((panel) => panel.lines.map((line) => {
      const place = nearest(line.x, step);
      return line.y[place] === null || line.y[place] === undefined ? null : `${line.label} ${panel.log ? short(line.y[place]) : line.y[place].toFixed(2)}`;
    })).filter(Boolean);
    const text = `step ${counted(step)}: ${read.join(", ")}`;
    if (this.told.textContent !== text) this.told.textContent = text; // it is read aloud when it changes
    this.svg.setAttribute("aria-valuenow", step);
    this.svg.setAttribute("aria-valuetext", this.told.textContent);
  }
  mark(step) { // shows where the iterate lies that is looked at
    this.here = step;
    if (step === null || !this.lineOfHere) return;
    for (const end of ["x1", "x2"]) this.lineOfHere.setAttribute(end, this.x(between(step, this.steps[0], this.steps[this.steps.length - 1])));
    this.lineOfHere.setAttribute("visibility", "visible");
  }
}

function nearest(sorted, value) {
  let low = 0, high = sorted.length - 1;
  while (low < high) { const middle = (low + high) >> 1; if (sorted[middle] < value) low = middle + 1; else high = middle; }
  return low > 0 && value - sorted[low - 1] < sorted[low] - value ? low - 1 : low;
}
function ticks(low, high, count) {
  const raw = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((one) => one >= raw), found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push(n * step);
  return found;
}
function powers(low, high) {
  const found = [];
  for (let n = Math.ceil(Math.log10(low) - 1e-9); 10 ** n <= high * (1 + 1e-9); n += 1) found.push(10 ** n);
  return found.length > 1 ? found : ticks(low, high, 4).filter((one) => one > 0);
}
function short(value, step = 0) { // step: of the scale on which the value lies
  if (value === null || value === undefined) return "–";
  if (step) return value.toFixed(between(-Math.floor(Math.log10(step) + 1e-9), 0, 6));
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3 ? value.toExponential(1).replace("e+", "e") : String(Number(value.toPrecision(3)));
}
function curvePanels(curve) { // those of one run
  const line = (label, name, colour, dash) => ({ label, colour, dash, x: curve.step, y: curve[name] });
  const some = (name) => curve[name] && curve[name].some((value) => value !== null);
  return [
    { title: "PSNR, dB", log: false, lines: [...(some("psnr") ? [line("output x_hat", "psnr", 0, 0)] : []), ...(some("psnr_average") ? [line("running average", "psnr_average", 1, 1)] : [])] },
    { title: "loss", log: true, lines: some("loss") ? [line("loss", "loss", 2, 0)] : [] },
  ];
}
