"use strict";
// Shows an episode: draws the chosen step and fills the tables whenever step or agent change.
//
// head: map, names and who plays. arrays: {data, shape} by name, a row per step (see metta/replay/recording.py). live:
// null for a recording; for a world that is being played, known() rows are there and step(action) asks for one more.
function watch(head, arrays, live) {
  const get = (id) => document.getElementById(id);
  const [T, A] = arrays.agents.shape, R = head.resources.length, STATE = arrays.converters.shape[2] - 1;
  const H = head.rows.length, V = head.rows[0].length;
  const UNKNOWN = 255; // success of an action that has not been done yet
  const ROW = 0, COLUMN = 1, ORIENTATION = 2, FROZEN = 3, ACTION = 4, SUCCESS = 5;
  const FIRST_ATTACK = head.actions.findIndex((name) => name.startsWith("attack"));
  const SIGNS = {mine_red: "m", generator_red: "g", altar: "♥", lasery: "L", armory: "A"};
  const COLOURS = ["--s0", "--s4", "--s1", "--s2", "--s3", "--s6"];
  let step = live ? live.known() - 1 : 0, chosen = 0, timer = null, busy = false;

  function at(name, t, i, j) {
    const array = arrays[name], width = array.shape[2] || 1;
    return array.data[(t * array.shape[1] + i) * width + (j || 0)];
  }
  const known = () => live ? live.known() : T;
  // Reward of an agent up to and with a step, of those that have been done; sums are kept.
  const sums = new Float64Array(T * A);
  let summed = 0;
  function total(t, agent) {
    for (; summed <= t && at("agents", summed, 0, SUCCESS) !== UNKNOWN; summed++)
      for (let i = 0; i < A; i++)
        sums[summed * A + i] = at("rewards", summed, i) + (summed ? sums[(summed - 1) * A + i] : 0);
    const last = Math.min(t, summed - 1);
    return last < 0 ? 0 : sums[last * A + agent];
  }
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const item = (agent, name) => at("inventories", step, agent, head.resources.indexOf(name));

  // Drawing
  function prepare(canvas, rows, columns, cell) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = columns * cell * ratio;
    canvas.height = rows * cell * ratio;
    canvas.style.width = columns * cell + "px";
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    return pen;
  }
  // Draws rows x columns cells of the map with (top, left) as its first; cells outside of it stay empty.
  function draw(canvas, top, left, rows, columns, cell, marked) {
    const pen = prepare(canvas, rows, columns, cell);
    const ink = colour("--ink"), soft = colour("--soft");
    pen.fillStyle = colour("--ground");
    pen.fillRect(0, 0, columns * cell, rows * cell);
    const inside = (r, c) => r >= top && r < top + rows && c >= left && c < left + columns;
    for (let r = Math.max(0, top); r < Math.min(H, top + rows); r++)
      for (let c = Math.max(0, left); c < Math.min(V, left + columns); c++) {
        pen.fillStyle = head.legend[head.rows[r][c]] === "wall" ? soft : colour("--grid");
        const wall = head.legend[head.rows[r][c]] === "wall";
        pen.globalAlpha = wall ? 1 : 0.25;
        pen.fillRect((c - left) * cell + 0.5, (r - top) * cell + 0.5, cell - 1, cell - 1);
        pen.globalAlpha = 1;
      }
    head.places.forEach(([r, c, name], index) => {
      if (!inside(r, c)) return;
      const x = (c - left) * cell, y = (r - top) * cell, state = at("converters", step, index, STATE);
      pen.fillStyle = colour(COLOURS[Object.keys(SIGNS).indexOf(name) % COLOURS.length] || "--s6");
      pen.fillRect(x + 1, y + 1, cell - 2, cell - 2);
      pen.fillStyle = colour("--ground");
      pen.font = `bold ${cell * 0.62}px system-ui, sans-serif`;
      pen.fillText(SIGNS[name] || name[0], x + cell / 2, y + cell / 2 + 1);
      let full = 0;
      for (let k = 0; k < R; k++) full += at("converters", step, index, k);
      pen.strokeStyle = ink;
      pen.lineWidth = 2;
      if (full) pen.strokeRect(x + 1.5, y + 1.5, cell - 3, cell - 3);
      if (state & 1) pen.fillRect(x + 2, y + cell - 4, cell - 4, 2);
    });
    for (let agent = 0; agent < A; agent++) {
      const r = at("agents", step, agent, ROW), c = at("agents", step, agent, COLUMN);
      if (!inside(r, c)) continue;
      const x = (c - left + 0.5) * cell, y = (r - top + 0.5) * cell;
      const action = at("agents", step, agent, ACTION), done = at("agents", step, agent, SUCCESS);
      const frozen = at("agents", step, agent, FROZEN);
      pen.beginPath();
      pen.arc(x, y, cell * 0.4, 0, 2 * Math.PI);
      pen.fillStyle = frozen ? colour("--s0") : ink;
      pen.fill();
      const [dy, dx] = [[-1, 0], [1, 0], [0, -1], [0, 1]][at("agents", step, agent, ORIENTATION)];
      pen.beginPath();
      pen.moveTo(x + dx * cell * 0.5, y + dy * cell * 0.5);
      pen.lineTo(x + dx * cell * 0.2 + dy * cell * 0.2, y + dy * cell * 0.2 + dx * cell * 0.2);
      pen.lineTo(x + dx * cell * 0.2 - dy * cell * 0.2, y + dy * cell * 0.2 - dx * cell * 0.2);
      pen.fillStyle = colour("--s4");
      pen.fill();
      pen.fillStyle = colour("--ground");
      pen.font = `${cell * 0.42}px system-ui, sans-serif`;
      pen.fillText(String(agent), x, y + 1);
      const ring = (name, width, grow) => {
        pen.beginPath();
        pen.arc(x, y, cell * grow, 0, 2 * Math.PI);
        pen.strokeStyle = colour(name);
        pen.lineWidth = width;
        pen.stroke();
      };
      if (action >= FIRST_ATTACK && done === 1) ring("--s1", 3, 0.46);
      if (step + 1 < known() && at("agents", step + 1, agent, FROZEN) > frozen) ring("--s3", 3, 0.5);
      if (at("rewards", step, agent) > 0) {
        pen.fillStyle = colour("--s2");
        pen.font = `bold ${cell * 0.6}px system-ui, sans-serif`;
        pen.fillText("+", x + cell * 0.4, y - cell * 0.35);
      }
      if (agent === marked) ring("--s1", 2, 0.6);
    }
  }

  // Tables
  function cells(row, values, headed) {
    row.replaceChildren(...values.map((value, place) => {
      const cell = document.createElement(headed && place === 0 ? "th" : "td");
      if (headed && place === 0) cell.scope = "row";
      if (value instanceof Node) cell.append(value);
      else cell.textContent = String(value);
      if (typeof value === "number") cell.className = "number";
      return cell;
    }));
    return row;
  }
  function fill(body, rows) {
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((values, place) => cells(body.rows[place] || body.insertRow(), values, true));
  }
  const amounts = (list) => list.filter(([, n]) => n).map(([name, n]) => `${n} ${name}`).join(", ") || "nothing";
  const held = (agent) => amounts(head.resources.map((name) => [name, item(agent, name)]));
  function actionText(t, agent) {
    const done = at("agents", t, agent, SUCCESS);
    return head.actions[at("agents", t, agent, ACTION)] + (done === UNKNOWN ? " (next)" : done ? "" : " (failed)");
  }
  function show() {
    const [rows, columns] = head.window;
    draw(get("map"), 0, 0, H, V, Math.max(12, Math.min(26, Math.floor(640 / V))), chosen);
    const r = at("agents", step, chosen, ROW), c = at("agents", step, chosen, COLUMN);
    draw(get("view"), r - (rows >> 1), c - (columns >> 1), rows, columns, 22, chosen);
    get("clock").textContent = `${step} of ${T - 1}`;
    get("scrub").max = String(known() - 1);
    get("scrub").value = String(step);
    get("map").setAttribute("aria-label", `Map at step ${step}; agent ${chosen} in row ${r}, column ${c}`);
    const probable = arrays.probabilities && head.actions.some((_, k) => at("probabilities", step, chosen, k));
    const predicts = arrays.values && !Number.isNaN(at("values", step, chosen));
    fill(get("about"), [
      ["played by", head.players[chosen]],
      ["place", `row ${r}, column ${c}, facing ${head.orientations[at("agents", step, chosen, ORIENTATION)]}`],
      ["holds", held(chosen)],
      ["frozen", `${at("agents", step, chosen, FROZEN)} actions`],
      ["action", actionText(step, chosen)],
      ["reward", at("rewards", step, chosen).toFixed(3)],
      ["reward so far", total(step, chosen).toFixed(3)],
      ["value", predicts ? at("values", step, chosen).toFixed(3) : "this player predicts none"],
      ...(head.hearts ? [["hearts at the end", String(head.hearts[chosen])]] : []),
    ]);
    fill(get("probabilities"), probable
      ? head.actions.map((name, k) => {
          const share = at("probabilities", step, chosen, k) / 255, bar = document.createElement("span");
          bar.className = "bar";
          bar.style.width = `${100 * share}%`;
          return [name + (k === at("agents", step, chosen, ACTION) ? " ◂" : ""), `${(100 * share).toFixed(0)} %`, bar];
        })
      : [["this player has none", "", ""]]);
    fill(get("all"), Array.from({length: A}, (_, agent) => [
      `agent ${agent}`, actionText(step, agent), held(agent), Number(total(step, agent).toFixed(2)),
      item(agent, "heart"),
    ]));
    Array.from(get("all").rows).forEach((row, agent) => row.classList.toggle("chosen", agent === chosen));
    fill(get("converters"), head.places.map(([row, column, name], index) => {
      const state = at("converters", step, index, STATE);
      const inside = amounts(head.resources.map((resource, k) => [resource, at("converters", step, index, k)]));
      return [`${name} ${row},${column}`, inside, state & 1 ? "converting" : state & 2 ? "cooling down" : "ready"];
    }));
  }

  // Controls
  function see(to) {
    step = to;
    show();
  }
  async function go(to, action) {
    // One more than the last row asks a live world to do the last action.
    to = Math.max(0, Math.min(live ? T : T - 1, to));
    if (live && to >= known()) {
      if (busy) return;
      busy = true;
      const more = await live.step(action);
      busy = false;
      if (!more) stop();
      to = known() - 1;
    }
    see(to);
    if (timer !== null && step === T - 1 && !live) stop();
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    get("play").textContent = "Play";
  }
  function play() {
    if (timer !== null) return stop();
    if (step === T - 1 && !live) step = 0;
    get("play").textContent = "Pause";
    timer = setInterval(() => go(step + 1), 1000 / Number(get("speed").value));
  }
  function choose(agent) {
    chosen = (agent + A) % A;
    get("agent").value = String(chosen);
    show();
  }
  for (let agent = 0; agent < A; agent++) get("agent").append(new Option(`${agent}`, String(agent)));
  const key = get("key");
  const means = [...head.places.map(([, , name]) => name)].filter((name, i, all) => all.indexOf(name) === i)
    .map((name) => `${SIGNS[name] || name[0]} ${name}`);
  for (const text of [...means, "frame: something inside", "line below: converting", "arrow: where an agent faces",
    "blue disc: frozen", "ring: attacks or is hit", "+: rewarded"]) {
    const entry = document.createElement("li");
    entry.textContent = text;
    key.append(entry);
  }
  const titles = document.createElement("tr");
  for (const text of ["agent", "action", "holds", "reward so far", "hearts"]) {
    const title = document.createElement("th");
    title.scope = "col";
    title.textContent = text;
    titles.append(title);
  }
  get("all-head").append(titles);
  get("scrub").addEventListener("input", (event) => go(Number(event.target.value)));
  get("play").addEventListener("click", play);
  get("step").addEventListener("click", () => { stop(); go(step + 1); });
  get("back").addEventListener("click", () => { stop(); go(step - 1); });
  get("speed").addEventListener("change", () => { if (timer !== null) { stop(); play(); } });
  get("agent").addEventListener("change", (event) => choose(Number(event.target.value)));
  get("map").addEventListener("click", (event) => {
    const box = get("map").getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / box.height * H);
    const column = Math.floor((event.clientX - box.left) / box.width * V);
    for (let agent = 0; agent < A; agent++)
      if (at("agents", step, agent, ROW) === row && at("agents", step, agent, COLUMN) === column) choose(agent);
  });
  // A control that was used with a pointer gives the keys back to the page; by keyboard one keeps one's place.
  let pointed = false;
  document.addEventListener("pointerdown", () => { pointed = true; }, true);
  document.addEventListener("keydown", () => { pointed = false; }, true);
  for (const [what, controls] of [["click", "button, summary"], ["change", "select, input"]])
    document.addEventListener(what, (event) => {
      const control = event.target.closest(controls);
      if (pointed && control) control.blur();
    });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("button, summary") && [" ", "Enter"].includes(event.key)) return; // presses it
    const act = {" ": play, ArrowRight: () => { stop(); go(step + 1); }, ArrowLeft: () => { stop(); go(step - 1); },
      n: () => choose(chosen + 1), p: () => choose(chosen - 1), ...(live ? live.keys() : {})}[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
  return {go, see, choose, show, step: () => step, playing: () => timer !== null};
}
