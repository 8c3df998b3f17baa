"use strict";
// The page of one run.

(function () {
  const data = JSON.parse(find("#data").textContent);
  const figures = all("#pictures .picture");
  const side = (figure) => {
    const image = find("img", figure);
    return { name: figure.dataset.name, label: find(".label", figure).textContent, note: find(".note", figure)?.textContent ?? "", src: image.src, alt: image.alt };
  };
  for (const figure of figures) find(".view", figure).style.setProperty("--tall", `${100 * figure.dataset.height / figure.dataset.width}%`);
  const viewer = new Viewer(find("#viewer"), figures.map(side), data.pair, data.size, data.boxes);
  for (const figure of figures) {
    const name = figure.dataset.name, label = find(".label", figure).textContent;
    const button = (place, word) => make("button", { type: "button", "aria-label": `${label} on the ${word}`, onclick: () => viewer.show(place, name) }, word);
    figure.append(make("div", { class: "bar" }, button("a", "left"), button("b", "right")));
    steer(find(".view", figure), viewer.lens);
  }
  const plot = data.curve.step?.length ? new Plot(find("#curve"), curvePanels(data.curve), data.marks) : null;
  const strip = all("#strip figure");
  if (!strip.length) return;

  let playing = null;
  const slider = make("input", { type: "range", min: 0, max: strip.length - 1, value: strip.length - 1, "aria-label": "iterate", id: "iterate" });
  const told = make("output");
  const play = make("button", { type: "button", onclick: () => (playing ? pause() : start()) }, "play");
  const pause = () => { clearInterval(playing); playing = null; play.textContent = "play"; };
  const start = () => {
    let place = Number(slider.value) >= strip.length - 1 ? 0 : Number(slider.value);
    play.textContent = "stop";
    look(place);
    playing = setInterval(() => { place += 1; if (place >= strip.length) pause(); else look(place); }, 500);
  };
  const describe = (place) => `step ${counted(data.iterates[place])}${strip[place].dataset.note ? `, ${strip[place].dataset.note}` : ""}`;
  const look = (place, show = true) => {
    const image = find("img", strip[place]);
    slider.value = place;
    slider.setAttribute("aria-valuetext", describe(place));
    told.textContent = describe(place);
    strip.forEach((figure, number) => figure.classList.toggle("chosen", number === place));
    viewer.add({ name: "iterate", label: "iterate", note: describe(place), src: image.src, alt: image.alt });
    if (show) viewer.show("b", "iterate");
    plot?.mark(data.iterates[place]);
  };
  slider.addEventListener("input", () => { pause(); look(Number(slider.value)); });
  strip.forEach((figure, place) => {
    const image = find("img", figure), button = make("button", { type: "button", "aria-label": `look at the output after ${data.iterates[place]} steps`, onclick: () => { pause(); look(place); } });
    image.replaceWith(button);
    button.append(image);
  });
  find("#iterates").prepend(make("div", { class: "bar" }, make("label", { for: "iterate" }, "iterate"), slider, play, told));
  look(strip.length - 1, false);
})();
