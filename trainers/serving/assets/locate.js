// Sends photographs to /predict and draws the answer. Texts of others only ever enter the page as textContent.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const svg = $("map"), cells = [...$("cells").children];
  const numberOf = new Map(cells.map((path, cell) => [path, cell]));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 760px)");
  const outline = (numbers) => numbers.map((cell) => cells[cell].getAttribute("d")).join("");

  let answer = null, sending = null, pointed = -1;
  const view = panZoom({
    svg, world: $("world"), land: $("cells").getBBox(), data, extent: () => answer ? [answer.map.point] : [],
    onView: placeMark, onPoint: (event) => show(cellAt(event), view.inMap(event)),
    onTap: (event) => show(cellAt(event), view.inMap(event)),
  });

  const percent = (p) => p < 0.0001 ? "below 0.01 %" : (100 * p).toFixed(p < 0.01 ? 2 : p < 0.1 ? 1 : 0) + " %";
  const nameOf = (cell) => data.names.length ? `${cell} ${data.names[cell]}` : `${cell}`;
  const cellAt = (event) => numberOf.get(document.elementFromPoint(event.clientX, event.clientY)) ?? -1;
  const ramp = () => dark.matches ? data.dark_ramp : data.ramp;
  const colourOf = (weight) => {
    const at = weight * (ramp().length - 1);
    const low = Math.min(Math.floor(at), ramp().length - 2);
    const [from, to] = [low, low + 1].map((i) => [1, 3, 5].map((start) => parseInt(ramp()[i].slice(start, start + 2), 16)));
    return `rgb(${from.map((value, i) => Math.round(value + (at - low) * (to[i] - value))).join(",")})`;
  };

  function placeMark() {
    if (answer) $("predicted-mark").setAttribute("transform", `translate(${view.toScreen(answer.map.point)})`);
  }

  function show(cell, place) {
    pointed = cell;
    $("pointed").setAttribute("d", cell >= 0 ? outline([cell]) : "");
    $("tip").textContent = cell < 0 ? "" : `Cell ${nameOf(cell)}${answer ? `: ${percent(answer.probabilities[cell])}` : ""}`;
    $("tip").hidden = cell < 0;
    const shift = place[0] > view.size().width - 180 ? "calc(-100% - 14px), -50%" : "14px, -50%";
    $("tip").style.transform = `translate(${place[0]}px, ${place[1]}px) translate(${shift})`;
  }

  function paint() {
    if (!answer) return;
    const highest = Math.max(...answer.probabilities);
    cells.forEach((path, cell) => path.setAttribute("fill", colourOf(answer.probabilities[cell] / highest)));
    // The copies cover the inner half of the rim, so that only the border of the whole region stays.
    const inside = answer.map.region_cells;
    $("region-cells").replaceChildren(...inside.map((cell) => cells[cell].cloneNode()));
    for (const id of ["region-rim", "region-borders"]) $(id).setAttribute("d", outline(inside));
    $("scale").style.background = `linear-gradient(to right, ${ramp().join(",")})`;
    $("half").textContent = percent(highest / 2);
    $("highest").textContent = percent(highest);
  }

  function zoomIn() {
    const near = answer.map.region_cells.length ? answer.map.region_cells : [answer.top_cells[0].cell];
    const boxes = near.map((cell) => cells[cell].getBBox()).filter((box) => box.width);
    const corners = boxes.flatMap((box) => [[box.x, box.y], [box.x + box.width, box.y + box.height]]);
    view.fit([answer.map.point, ...corners]);
  }

  function draw() {
    $("answer").hidden = false;
    $("predicted-mark").setAttribute("visibility", "visible");
    $("point").textContent = `${answer.lat_deg.toFixed(2)},\u00a0${answer.lon_deg.toFixed(2)}`;
    for (const one of document.querySelectorAll(".of-region")) one.hidden = !answer.region;
    if (answer.region) {
      const { cells: count, area_km2: area } = answer.region;
      $("level").textContent = data.level;
      $("region").textContent = `${count}\u00a0${count === 1 ? "cell" : "cells"}, ${area.toLocaleString("en")}\u00a0km²`;
    }
    $("top").replaceChildren(...answer.top_cells.map(({ cell, probability }) => {
      const row = make("tr");
      row.append(make("td", { textContent: nameOf(cell) }), make("td", { textContent: percent(probability) }));
      return row;
    }));
    paint();
    view.fit();
    if (pointed >= 0) show(-1, [0, 0]);
  }

  // An earlier answer beside a photograph that has none would be taken for its own.
  function clear() {
    answer = null;
    $("answer").hidden = true;
    $("predicted-mark").setAttribute("visibility", "hidden");
    cells.forEach((path) => path.removeAttribute("fill"));
    $("region-cells").replaceChildren();
    for (const id of ["region-rim", "region-borders"]) $(id).removeAttribute("d");
  }

  function say(text, isWrong = false) {
    $("status").textContent = text;
    $("status").classList.toggle("wrong", isWrong);
    if (isWrong) clear();
  }

  function preview(files) {
    for (const image of $("views").children) URL.revokeObjectURL(image.src);
    $("views").replaceChildren(...files.map((file) => make("img", { src: URL.createObjectURL(file), alt: file.name })));
  }

  async function send(files) {
    if (!files.length) return;
    sending?.abort();
    const mine = sending = new AbortController();
    preview(files);
    say("Looking …");
    const form = new FormData();
    for (const file of files) form.append("image", file, file.name);
    try {
      const response = await fetch("predict?map=1&all_cells=1", { method: "POST", body: form, signal: mine.signal });
      const found = await response.json();
      if (!response.ok) return say(`${found.problem} Next: ${found.next_step}.`, true);
      answer = found;
      say("");
      draw();
      if (narrow.matches) document.querySelector("main").scrollIntoView({ behavior: "smooth", block: "nearest" });
    } catch (error) {
      if (error.name !== "AbortError") say("The server did not answer. Is it still running? Choose the photograph again.", true);
    }
  }

  $("files").addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = "";  // so that the same one can be chosen again
    send(files);
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    send([...event.dataTransfer.files]);
  });
  svg.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") show(-1, [0, 0]);
  });
  $("near").addEventListener("click", zoomIn);
  $("whole").addEventListener("click", () => view.fit());
  dark.addEventListener("change", paint);

  const width = cells.length > 1000 ? 0.2 : 0.6;
  $("borders").setAttribute("d", outline(cells.map((_, cell) => cell)));
  for (const id of ["borders", "region-borders"]) $(id).setAttribute("stroke-width", width);
  view.fit();
})();
