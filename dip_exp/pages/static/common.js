"use strict";
// Shared by all pages: elements, theme, copying. Text is only ever set as text.

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "text", "circle", "rect", "title"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const named = (label, name, act) => make("button", { type: "button", "aria-label": name, title: name, onclick: act }, label);
const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const between = (value, low, high) => Math.min(high, Math.max(low, value));
const counted = (number) => number.toLocaleString("en-US");

function remembered(name, value) {
  try { // storage may be switched off, and is for files in some browsers
    if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch { return null; }
}

(function theme() {
  const button = find("#theme");
  const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", dark());
  const before = remembered("dip_exp theme");
  if (before === "dark" || before === "light") document.documentElement.dataset.theme = before;
  button.addEventListener("click", () => {
    const other = dark() ? "light" : "dark";
    remembered("dip_exp theme", other);
    document.documentElement.dataset.theme = other;
    show();
  });
  show();
})();

for (const button of all("button.copy")) {
  button.addEventListener("click", async () => {
    const pre = find("pre", button.parentElement);
    let done = true;
    try { await navigator.clipboard.writeText(pre.textContent); } catch {
      const range = document.createRange(); // without a clipboard: select it, and let the browser copy
      range.selectNodeContents(pre);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "copied" : "press Ctrl+C";
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  });
}
