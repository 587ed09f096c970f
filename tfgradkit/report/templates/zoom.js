// Pictures that can be zoomed: by buttons, keys, the wheel with Ctrl, a pinch; moved by dragging and by arrows.
"use strict";
for (const figure of document.querySelectorAll("figure.zoom")) {
  const stage = figure.querySelector(".stage");
  const svg = stage.querySelector("svg");
  const whole = svg.viewBox.baseVal;
  const size = { width: whole.width, height: whole.height };
  const pointers = new Map();
  let view = null; // left, top, and how many units of the picture are across

  figure.classList.add("live");
  svg.removeAttribute("width");
  svg.removeAttribute("height");

  const ratio = () => svg.clientHeight / Math.max(1, svg.clientWidth);
  // All of it is this many units across.
  const across = () => Math.max(size.width, size.height / ratio());
  const draw = () => {
    const height = view.width * ratio();
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${height}`);
    stage.classList.toggle("closer", view.width < 0.99 * across());
  };
  const between = (low, value, high) => Math.min(Math.max(value, low), Math.max(low, high));
  const show = (x, y, width) => {
    const w = between(Math.min(120, across()), width, across());
    const h = w * ratio();
    // What is smaller than the view is in its middle.
    view = {
      x: w >= size.width ? (size.width - w) / 2 : between(0, x, size.width - w),
      y: h >= size.height ? (size.height - h) / 2 : between(0, y, size.height - h),
      width: w,
    };
    draw();
  };
  const zoom = (factor, px = 0.5, py = 0.5) => {
    const width = between(Math.min(120, across()), view.width / factor, across());
    const change = view.width - width;
    show(view.x + change * px, view.y + change * ratio() * py, width);
  };
  const move = (dx, dy) => show(view.x + dx, view.y + dy, view.width);
  const all = () => show(0, 0, across());
  // At first as large as the text is readable, from the top.
  const start = () => {
    const width = Math.max(1, svg.clientWidth);
    const input = svg.querySelector(".input rect");
    const middle = input ? input.x.baseVal.value + input.width.baseVal.value / 2 : size.width / 2;
    show(middle - width / 2, 0, width);
  };
  const place = (event) => {
    const box = svg.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };

  figure.querySelector(".tools").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.zoom === "all") all();
    else zoom(button.dataset.zoom === "in" ? 1.4 : 1 / 1.4);
  });
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = view.width / 8;
    const keys = {
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), "0": all,
      ArrowLeft: () => move(-step, 0), ArrowRight: () => move(step, 0),
      ArrowUp: () => move(0, -step), ArrowDown: () => move(0, step),
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  stage.addEventListener("wheel", (event) => {
    // Without Ctrl the wheel scrolls the page; a trackpad's pinch comes as a wheel with Ctrl.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(-between(-60, event.deltaY, 60) / 150), ...place(event));
  }, { passive: false });

  stage.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event);
    if (event.pointerType === "mouse") stage.setPointerCapture(event.pointerId);
    stage.classList.add("moving");
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const unit = view.width / Math.max(1, svg.clientWidth);
    if (pointers.size === 1) {
      move((before.clientX - event.clientX) * unit, (before.clientY - event.clientY) * unit);
    } else {
      const other = [...pointers.values()].find((p) => p.pointerId !== event.pointerId);
      const distance = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY) || 1;
      zoom(distance(event) / distance(before), ...place(other));
    }
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    stage.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      if (!pointers.size) stage.classList.remove("moving");
    });
  }
  addEventListener("resize", () => draw());
  addEventListener("beforeprint", () => svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`));
  addEventListener("afterprint", () => draw());
  start();
}
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
