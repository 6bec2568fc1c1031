// Plays rounds: shows views, takes a pin, and draws the answers. The server alone knows where a location is.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const SVG = "http://www.w3.org/2000/svg";
  const draw = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const WHO = { player: "You", model: "Model", constant: "Constant guess" };
  const SHAPES = {
    truth: "M-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0z", model: "M0-10 10 0 0 10-10 0z", constant: "M-7-7H7V7H-7z",
    player: "M0 0C-3-8-10-12-10-19A10 10 0 0 1 10-19C10-12 3-8 0 0z",
  };
  const COMPASS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];
  const number = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 9.95 ? 1 : 0 });
  const distance = (one) => `${number(one.distance_miles)} mi`, kilometres = (one) => `${number(one.distance_km)} km`;
  const svg = $("map"), land = $("cells").getBBox();

  let game = "", rounds = 0, results = [], views = [], current = 0, seen = new Set();
  let pin = null;      // where the player's pin is, in units of the map
  let marks = [];      // [element, point] to keep in place, and [polyline, points]
  let act = start;     // what the main button does

  const map = panZoom({
    svg, world: $("world"), land, data, extent: () => [], onView: place, onPoint: () => {},
    onTap: (event) => dropPin(map.toUnits(map.inMap(event))),
  });

  function place() {
    for (const [element, points] of marks) {
      if (element.tagName === "polyline") element.setAttribute("points", points.map((point) => map.toScreen(point)).join(" "));
      else element.setAttribute("transform", `translate(${map.toScreen(points)})`);
    }
    const { width, height } = map.size();
    $("cross").setAttribute("transform", `translate(${width / 2} ${height / 2})`);
  }

  function show(...shown) {
    marks = shown;
    $("marks").replaceChildren(...marks.map(([element]) => element));
    place();
  }

  const mark = (name, point) => [draw("path", { d: SHAPES[name], class: `mark ${name}` }), point];
  const lines = (name, points) => ["rim", `way ${name}`].map((kind) => [draw("polyline", { class: kind }), points]);
  const key = (name) => {
    const svg = draw("svg", { class: "key", viewBox: name === "player" ? "-12 -30 24 32" : "-12 -12 24 24", "aria-hidden": true });
    svg.append(draw("path", { d: SHAPES[name], class: `mark ${name}` }));
    return svg;
  };

  function dropPin(point) {
    if (!document.body.classList.contains("guess")) return;
    pin = point;
    show(mark("player", pin));
    $("act").disabled = false;
    $("headline").textContent = "Guess, or move the pin";
  }

  async function ask(path, body) {
    const answer = await fetch(path, body && { method: "POST", body: JSON.stringify(body) });
    const found = await answer.json();
    if (!answer.ok) throw new Error(`${found.problem} Next: ${found.next_step}.`);
    return found;
  }

  // Runs a step of the game; what goes wrong is shown, and the button tries again.
  async function attempt(step) {
    $("act").disabled = true;
    try {
      await step();
      $("problem").hidden = true;
    } catch (error) {
      $("problem").textContent = error instanceof TypeError ? "The server does not answer. Is it still running?" : error.message;
      $("problem").hidden = false;
      $("act").disabled = false;
    }
  }

  function state(name, headline, button, next) {
    document.body.className = name;
    $("headline").textContent = headline;
    $("act").textContent = button;
    $("results").hidden = name === "guess";
    $("text").hidden = name !== "summary";
    act = next;
    const points = results.reduce((sum, one) => sum + one.player.score, 0);
    $("total").textContent = `${number(points)} points`;
  }

  async function start() {
    ({ game, rounds } = await ask("games", {}));
    sessionStorage.setItem("game", game);
    results = [];
    await open();
  }

  async function open() {
    const round = await ask(`games/${game}/open`, {});
    rounds = round.rounds;
    if (!round.views) return summary();
    const tap = matchMedia("(pointer: coarse)").matches ? "Tap" : "Click";
    state("guess", `${tap} the map where this is`, "Guess", guess);
    $("position").textContent = `Round ${round.round} of ${rounds}`;
    pin = null;
    show();
    map.fit();
    showViews(round.views);
    // From here the arrow keys look round, and Tab leads over the views to the map and the button.
    $("strip").focus({ preventScroll: true });
  }

  function showViews(found) {
    const names = found.map(({ heading_deg: deg }) => deg === null ? "" : COMPASS[Math.round(deg / 45) % 8]);
    const isClear = new Set(names).size === names.length;
    views = found.map((view, i) => ({ ...view, name: names[i] && (isClear ? names[i] : `${Math.round(view.heading_deg)}°`) }));
    seen = new Set();
    const label = (view, i) => view.name || `View ${i + 1}`;
    $("strip").replaceChildren(...views.map((view, i) => make("img", {
      src: view.address, draggable: false,
      alt: view.name ? `View to the ${view.name}, ${Math.round(view.heading_deg)} degrees` : `View ${i + 1} of ${views.length}`,
    })));
    $("headings").replaceChildren(...views.map((view, i) => {
      const button = make("button", { type: "button", textContent: label(view, i), onclick: () => turn(i) });
      if (view.name) button.title = `${Math.round(view.heading_deg)}°`;
      return button;
    }));
    $("scene").hidden = false;
    $("headings").hidden = $("turns").hidden = views.length < 2;
    $("strip").scrollTo({ left: 0, behavior: "instant" });
    look(0);
  }

  function look(index) {
    current = index;
    seen.add(index);
    [...$("headings").children].forEach((button, i) => button.setAttribute("aria-pressed", i === index));
  }

  function turn(index) {
    look((index + views.length) % views.length);
    $("strip").scrollTo({ left: current * $("strip").clientWidth });
  }

  async function guess() {
    if (!pin) return;
    const result = await ask(`games/${game}/guess`, { round: results.length + 1, point: pin, views_seen: seen.size });
    results.push(result);
    answer();
    $("headline").focus({ preventScroll: true });
  }

  function answer() {
    const result = results.at(-1), { player } = result;
    const last = results.length === rounds;
    state("result", `${distance(player)} away: ${number(player.score)} points`, last ? "Summary" : "Next round", last ? summary : open);
    $("position").textContent = `Round ${results.length} of ${rounds}`;
    const best = Math.max(...Object.keys(WHO).map((name) => result[name].score));
    const { lat_deg, lon_deg } = result.truth;
    table(["", "Distance", "Score"], [...Object.keys(WHO).map((name) => ({
      name, cells: [[distance(result[name]), kilometres(result[name])], number(result[name].score)], best: result[name].score === best,
    })), { name: "truth", title: "True location", cells: [`${lat_deg.toFixed(2)}, ${lon_deg.toFixed(2)}`, ""] }]);
    const all = Object.keys(WHO).reverse();
    show(...all.flatMap((name) => lines(name, result[name].line)), ...all.map((name) => mark(name, result[name].point)),
      mark("truth", result.truth.point));
    map.fit(around(all.flatMap((name) => result[name].line)));
    $("act").disabled = false;
  }

  // Corners of a box with room round some points, at least a third of the land.
  function around(points) {
    return [0, 1].map((i) => {
      const values = points.map((point) => point[i]), [low, high] = [Math.min(...values), Math.max(...values)];
      const side = Math.max(1.4 * (high - low), [land.width, land.height][i] / 3);
      return [(low + high - side) / 2, (low + high + side) / 2];
    }).reduce((xs, ys) => xs.map((x, i) => [x, ys[i]]));
  }

  function table(head, rows, foot) {
    const body = make("tbody"), top = make("thead").insertRow();
    top.append(...head.map((text) => make("th", { scope: "col", textContent: text })));
    for (const { name, title, cells, best } of rows) {
      const row = body.insertRow(), first = make("th", { scope: "row" });
      if (name) first.append(key(name));
      first.append(title ?? WHO[name]);
      row.append(first, ...cells.map((cell) => {
        const text = make("td"), [large, small] = [cell].flat();
        text.append(large, ...(small ? [" ", make("small", { textContent: small })] : []));
        return text;
      }));
      row.className = best ? "best" : "";
    }
    $("results").replaceChildren(top.parentNode, body);
    if (!foot) return;
    const last = make("tfoot").insertRow();
    last.append(make("th", { scope: "row", textContent: foot[0] }), ...foot.slice(1).map((text) => make("td", { textContent: text })));
    $("results").append(last.parentNode);
  }

  function summary() {
    const total = (name) => results.reduce((sum, one) => sum + one[name].score, 0);
    const [mine, its] = [total("player"), total("model")];
    const headline = mine > its ? "You beat the model" : mine < its ? "The model wins" : "A draw";
    state("summary", headline, "Play again", start);
    sessionStorage.removeItem("game");
    $("position").textContent = "Summary";
    $("text").textContent = `${number(mine)} points for you, ${number(its)} for the model, of ${number(5000 * results.length)}.`;
    table(["Round", "You", "Model", "Constant"], results.map((one) => ({
      title: `${one.round}`, cells: Object.keys(WHO).map((name) => [number(one[name].score), distance(one[name])]),
    })), ["Total", ...Object.keys(WHO).map((name) => number(total(name)))]);
    show(...results.flatMap((one) => lines("player", one.player.line)), ...results.map((one) => mark("model", one.model.point)),
      ...results.map((one) => mark("player", one.player.point)), ...results.map((one) => mark("truth", one.truth.point)),
      ...results.map((one) => [draw("text", { dy: 4.5 }), one.truth.point]));
    [...$("marks").querySelectorAll("text")].forEach((text, i) => { text.textContent = results[i].round; });
    map.fit();
    $("act").disabled = false;
    $("headline").focus({ preventScroll: true });
  }

  async function resume() {
    game = sessionStorage.getItem("game");
    if (!game) return;
    try {
      ({ rounds, results } = await ask(`games/${game}`));
      if (results.length) answer();
      else await open();
    } catch {
      sessionStorage.removeItem("game");
    }
  }

  const press = () => { if (!$("act").disabled) attempt(() => act()); };
  $("act").addEventListener("click", press);
  $("strip").addEventListener("scroll", () => {
    const index = Math.round($("strip").scrollLeft / Math.max($("strip").clientWidth, 1));
    // A strip on its way to a view passes others.
    if (index !== current && Math.abs(index * $("strip").clientWidth - $("strip").scrollLeft) < 2) look(index);
  });
  svg.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    const { width, height } = map.size();
    dropPin(map.toUnits([width / 2, height / 2]));
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.toLowerCase() === "g") press();
    if (event.target === svg || !document.body.matches(".guess, .result")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); turn(current + step); }
    if (/^[1-9]$/.test(event.key) && views[event.key - 1]) turn(event.key - 1);
  });
  const outlines = [...$("cells").children].map((path) => path.getAttribute("d"));
  for (const id of ["coast", "borders"]) $(id).setAttribute("d", outlines.join(""));
  $("borders").setAttribute("stroke-width", outlines.length > 1000 ? 0.3 : 0.7);
  new ResizeObserver(() => $("strip").scrollTo({ left: current * $("strip").clientWidth, behavior: "instant" })).observe($("strip"));
  map.fit();
  $("act").focus();
  resume();
})();
