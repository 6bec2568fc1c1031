"use strict";
// Moves and zooms the map of a page by mouse, fingers, keys and the three buttons beside it.
// `land` is the box of its cells in the units of their paths, `data` has km_per_unit and km_per_mile. A page gives
// onView() after each move, onTap(event), onPoint(event) when the mouse moves, and extent(), the points to fit beside land.
const panZoom = ({ svg, world, land, data, onView, onTap, onPoint, extent }) => {
  const $ = (id) => document.getElementById(id);
  let scale = 1, left = 0, top = 0, moved = false;  // screen = scale * units + (left, top), in pixels
  let fittedTo;
  let size = { width: svg.clientWidth, height: svg.clientHeight };

  const toScreen = ([x, y]) => [scale * x + left, scale * y + top];
  const toUnits = ([x, y]) => [(x - left) / scale, (y - top) / scale];
  const isOutside = (point) => toScreen(point).some((value, i) => value < 0 || value > [size.width, size.height][i]);

  function setView(newScale, newLeft, newTop) {
    scale = newScale;
    // The middle of the window stays over the land, so that the map cannot get lost.
    const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
    left = clamp(newLeft, size.width / 2 - scale * (land.x + land.width), size.width / 2 - scale * land.x);
    top = clamp(newTop, size.height / 2 - scale * (land.y + land.height), size.height / 2 - scale * land.y);
    world.setAttribute("transform", `matrix(${scale} 0 0 ${scale} ${left} ${top})`);
    onView();
    drawBar("km", data.km_per_unit, "km");
    drawBar("miles", data.km_per_unit / data.km_per_mile, "mi");
  }

  // Moves the map by (dx, dy) pixels and makes it larger by a factor round (x, y).
  function move(dx, dy, factor = 1, x = size.width / 2, y = size.height / 2) {
    const next = Math.min(Math.max(scale * factor, fitScale(land) / 4), fitScale(land) * 4000);
    moved = true;
    setView(next, x + dx - (x - left) * next / scale, y + dy - (y - top) * next / scale);
  }

  const fitScale = (box) => Math.min((size.width - 36) / box.width, (size.height - 36) / box.height);
  const corners = [[land.x, land.y], [land.x + land.width, land.y + land.height]];

  // Without points, fits the land and the extent of the page.
  function fit(points) {
    fittedTo = points;
    const [xs, ys] = [0, 1].map((i) => (points ?? [...corners, ...extent()]).map((point) => point[i]));
    const [x, y] = [Math.min(...xs), Math.min(...ys)];
    const box = { width: Math.max(...xs) - x, height: Math.max(...ys) - y };
    const fitted = Math.min(fitScale(box), 60 * fitScale(land));
    moved = false;
    setView(fitted, size.width / 2 - fitted * (x + box.width / 2), size.height / 2 - fitted * (y + box.height / 2));
  }

  // The longest of 1, 2, 3 or 5 times a power of ten that is at most 140 pixels long.
  function drawBar(id, perUnit, name) {
    const longest = 140 / scale * perUnit;
    const power = 10 ** Math.floor(Math.log10(longest));
    const length = [5, 3, 2, 1].find((digit) => digit * power <= longest) * power;
    $(id).textContent = `${length.toLocaleString("en")} ${name}`;
    $(id).style.width = `${length / perUnit * scale}px`;
  }

  const pressed = new Map();  // where each finger or mouse button that is down is, by its id
  let travelled = 0;
  // A hand that taps trembles, and a finger more so.
  const isTap = (event) => travelled < (event.pointerType === "mouse" ? 4 : 10);
  const inMap = (event) => [event.clientX - svg.getBoundingClientRect().x, event.clientY - svg.getBoundingClientRect().y];
  const middle = () => [0, 1].map((i) => [...pressed.values()].reduce((sum, point) => sum + point[i] / pressed.size, 0));
  const spread = () => {
    const [first, second] = pressed.values();
    return second ? Math.hypot(first[0] - second[0], first[1] - second[1]) : 1;
  };

  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!pressed.size) travelled = 0;
    pressed.set(event.pointerId, inMap(event));
    svg.setPointerCapture(event.pointerId);
    svg.classList.add("dragged");
  });
  svg.addEventListener("pointermove", (event) => {
    if (!pressed.has(event.pointerId)) return onPoint(event);
    const before = middle(), wide = spread();
    pressed.set(event.pointerId, inMap(event));
    const [dx, dy] = middle().map((value, i) => value - before[i]);
    travelled += Math.hypot(dx, dy) + Math.abs(spread() - wide);
    if (isTap(event)) return;
    move(dx, dy, spread() / wide, ...before);
  });
  const release = (event) => {
    if (!pressed.delete(event.pointerId) || pressed.size) return;
    svg.classList.remove("dragged");
    if (event.type === "pointerup" && isTap(event)) onTap(event);
  };
  svg.addEventListener("pointerup", release);
  svg.addEventListener("pointercancel", release);
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    move(0, 0, 2 ** (-event.deltaY * (event.deltaMode ? 30 : 1) / 250), ...inMap(event));
  }, { passive: false });
  svg.addEventListener("dblclick", (event) => move(0, 0, 2, ...inMap(event)));
  const larger = () => move(0, 0, 1.4), smaller = () => move(0, 0, 1 / 1.4);
  const steps = {
    ArrowLeft: () => move(80, 0), ArrowRight: () => move(-80, 0), ArrowUp: () => move(0, 80),
    ArrowDown: () => move(0, -80), "+": larger, "=": larger, "-": smaller, 0: () => fit(),
  };
  svg.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !step) return;
    event.preventDefault();
    step();
  });
  $("in").addEventListener("click", larger);
  $("out").addEventListener("click", smaller);
  $("fit").addEventListener("click", () => fit());
  new ResizeObserver(() => {
    const before = size;
    size = { width: svg.clientWidth, height: svg.clientHeight };
    if (moved) setView(scale, left + (size.width - before.width) / 2, top + (size.height - before.height) / 2);
    else fit(fittedTo);
  }).observe(svg);
  return { fit, inMap, isOutside, toScreen, toUnits, isMoved: () => moved, size: () => size };
};
