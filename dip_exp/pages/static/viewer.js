"use strict";
// Pictures that are zoomed and moved together, and two of them under a divider.

class Lens { // which part is seen: `zoom` times enlarged, from the share (left, top) of the picture on
  constructor() { this.zoom = 1; this.left = 0; this.top = 0; this.watchers = []; }
  set(zoom, left, top) {
    this.zoom = between(zoom, 1, 64);
    const most = 1 - 1 / this.zoom;
    this.left = between(left, 0, most);
    this.top = between(top, 0, most);
    for (const watcher of this.watchers) watcher();
  }
  about(factor, x = 0.5, y = 0.5) { // zooms; what lies at the share (x, y) of the view stays there
    const zoom = between(this.zoom * factor, 1, 64);
    this.set(zoom, this.left + x / this.zoom - x / zoom, this.top + y / this.zoom - y / zoom);
  }
  move(dx, dy) { this.set(this.zoom, this.left + dx / this.zoom, this.top + dy / this.zoom); }
  get transform() { return `translate(${-100 * this.left * this.zoom}%, ${-100 * this.top * this.zoom}%) scale(${this.zoom})`; }
}

function zoomers(lens) { // the buttons that zoom a lens out, in, and out to all of it
  return [named("−", "zoom out", () => lens.about(1 / 1.5)), named("+", "zoom in", () => lens.about(1.5)), named("all", "show all of it", () => lens.set(1, 0, 0))];
}

// Lets a view be dragged, pinched, and moved and zoomed by keys. The wheel zooms with Ctrl, or while the view has focus.
function steer(view, lens) {
  const fingers = new Map();
  const place = (event) => { const r = view.getBoundingClientRect(); return [(event.clientX - r.left) / r.width, (event.clientY - r.top) / r.height]; };
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== view) return;
    event.preventDefault();
    lens.about(event.deltaY < 0 ? 1.25 : 0.8, ...place(event));
  }, { passive: false });
  view.addEventListener("pointerdown", (event) => {
    if (event.target.closest(".divider")) return;
    fingers.set(event.pointerId, place(event));
    view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId), now = place(event);
    if (!before) return;
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    fingers.set(event.pointerId, now);
    if (other) lens.about(Math.hypot(now[0] - other[0], now[1] - other[1]) / (Math.hypot(before[0] - other[0], before[1] - other[1]) || 1), ...other);
    else lens.move(before[0] - now[0], before[1] - now[1]);
  });
  for (const end of ["pointerup", "pointercancel"]) view.addEventListener(end, (event) => fingers.delete(event.pointerId));
  view.addEventListener("dblclick", (event) => lens.about(lens.zoom > 1 ? 1 / lens.zoom : 4, ...place(event)));
  view.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (event.target !== view || event.ctrlKey || event.altKey || event.metaKey) return;
    if (moves[event.key]) lens.move(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") lens.about(1.5);
    else if (event.key === "-") lens.about(1 / 1.5);
    else if (event.key === "0") lens.set(1, 0, 0);
    else return;
    event.preventDefault();
  });
}

// Moves every <img> of `views` with the lens; pixels stay sharp where they are large.
function follow(views, lens, width) {
  const show = () => {
    for (const view of views()) {
      const large = lens.zoom * view.clientWidth > 1.5 * width * (window.devicePixelRatio ? 1 / window.devicePixelRatio : 1);
      view.classList.toggle("pixels", large);
      view.classList.toggle("zoomed", lens.zoom > 1);
      for (const moved of all("img, .seams", view)) moved.style.transform = lens.transform;
    }
  };
  lens.watchers.push(show);
  show();
}

class Viewer {
  // sides: [{name, label, note, src, alt}]; size: [width, height] of the picture; boxes: tiles, in pixels.
  constructor(root, sides, pair, size, boxes = []) {
    this.sides = new Map(sides.map((side) => [side.name, side]));
    this.size = size;
    this.lens = new Lens();
    this.split = 0.5;
    this.images = { a: make("img"), b: make("img") };
    this.names = { a: make("span", { class: "name a" }), b: make("span", { class: "name b" }) };
    this.half = make("div", { class: "half" }, this.images.b);
    this.divider = make("div", { class: "divider", role: "slider", tabindex: 0, "aria-label": "divider between the left and the right picture", "aria-valuemin": 0, "aria-valuemax": 100, "aria-orientation": "horizontal" });
    this.stage = make("div", { class: "stage", tabindex: 0, role: "group", "aria-label": "the two pictures: plus and minus zoom, arrows move, 0 shows all" },
      this.images.a, this.half, this._seams(boxes), this.names.a, this.names.b, this.divider);
    this.selects = { a: this._select("a", "left"), b: this._select("b", "right") };
    this.told = make("output", { "aria-live": "polite" });
    const [out, closer, whole] = zoomers(this.lens);
    root.append(
      make("div", { class: "bar" }, make("label", {}, "left", this.selects.a), make("label", {}, "right", this.selects.b),
        named("⇄", "exchange left and right", () => { const { a, b } = this.shown; this.show("a", b); this.show("b", a); }),
        out, closer,
        this.one = named("1:1", "one pixel of the picture to one of the screen", () => this.lens.set(this._one(), this.lens.left, this.lens.top)),
        whole, this._overlay(boxes), this.told),
      this.stage);
    this.shown = {};
    for (const [side, name] of [["a", pair[0]], ["b", pair[1]]]) this.show(side, name);
    this._fit();
    this._drag();
    steer(this.stage, this.lens);
    follow(() => [this.stage, ...all(".view")], this.lens, size[0]);
    this.lens.watchers.push(() => this._tell());
    addEventListener("resize", () => { for (const watcher of this.lens.watchers) watcher(); });
    this.divide(0.5);
  }
  _select(side, name) {
    return make("select", { "aria-label": `${name} picture`, onchange: (event) => this.show(side, event.target.value) },
      ...[...this.sides.values()].map((one) => make("option", { value: one.name }, one.label)));
  }
  _seams(boxes) {
    this.seams = make("svg", { class: "seams", viewBox: `0 0 ${this.size[0]} ${this.size[1]}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    for (const [x, y, width, height] of boxes) for (const tone of ["", "light"]) this.seams.append(make("rect", { x, y, width, height, class: tone }));
    this.seams.style.display = "none";
    return this.seams;
  }
  _overlay(boxes) {
    if (!boxes.length) return null;
    return make("label", {}, make("input", { type: "checkbox", id: "tiles", onchange: (event) => { this.seams.style.display = event.target.checked ? "" : "none"; } }), "tiles");
  }
  _fit() { // as wide as there is room for, but no higher than the window
    const show = () => {
      const room = this.stage.parentElement.clientWidth, high = Math.max(240, 0.72 * innerHeight);
      const width = Math.min(room, high * this.size[0] / this.size[1]);
      this.stage.style.width = `${width}px`;
      this.stage.style.height = `${width * this.size[1] / this.size[0]}px`;
      this.one.hidden = this._one() <= 1; // a small picture is enlarged to begin with
    };
    addEventListener("resize", show);
    show();
  }
  _one() { return this.size[0] / (this.stage.clientWidth * (window.devicePixelRatio || 1)); }
  _drag() {
    const at = (event) => { const r = this.stage.getBoundingClientRect(); this.divide((event.clientX - r.left) / r.width); };
    this.divider.addEventListener("pointerdown", (event) => { this.divider.setPointerCapture(event.pointerId); this.divider.focus(); event.preventDefault(); });
    this.divider.addEventListener("pointermove", (event) => { if (this.divider.hasPointerCapture(event.pointerId)) at(event); });
    this.divider.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -0.02, ArrowRight: 0.02, ArrowDown: -0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
      if (!(event.key in steps)) return;
      this.divide(this.split + steps[event.key]);
      event.preventDefault();
      event.stopPropagation();
    });
  }
  divide(share) {
    this.split = between(share, 0, 1);
    const percent = Math.round(100 * this.split);
    this.half.style.clipPath = `inset(0 0 0 ${100 * this.split}%)`;
    this.divider.style.left = `${100 * this.split}%`;
    this.divider.setAttribute("aria-valuenow", percent);
    this.divider.setAttribute("aria-valuetext", `${percent} percent of the left picture`);
  }
  add(side) { // another picture to choose from; one of the same name is replaced
    if (!this.sides.has(side.name)) for (const select of Object.values(this.selects)) select.append(make("option", { value: side.name }, side.label));
    this.sides.set(side.name, side);
    for (const select of Object.values(this.selects)) find(`option[value="${CSS.escape(side.name)}"]`, select).textContent = side.label;
    for (const place of ["a", "b"]) if (this.shown[place] === side.name) this.show(place, side.name);
  }
  show(place, name) {
    const side = this.sides.get(name);
    if (!side) return;
    this.shown[place] = name;
    this.images[place].src = side.src;
    this.images[place].alt = side.alt;
    this.names[place].textContent = side.note ? `${side.label}, ${side.note}` : side.label;
    this.selects[place].value = name;
  }
  _tell() {
    const { zoom, left, top } = this.lens, [width, height] = this.size;
    this.told.textContent = zoom === 1 ? "" : `${zoom.toFixed(zoom < 10 ? 1 : 0)}× from pixel (${Math.round(left * width)}, ${Math.round(top * height)})`;
  }
}
