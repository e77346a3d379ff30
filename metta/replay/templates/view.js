"use strict";
// Shows an episode: draws the chosen step and fills the tables whenever step or agent change.
//
// head: map, names and who plays. arrays: {data, shape} by name, a row per step (see metta/replay/recording.py). live:
// null for a recording; for a world that is being played, known() rows are there, step(action) asks for one more,
// steered() is the agent that "you" are, and keys() are further ones.
function watch(head, arrays, live) {
  const get = (id) => document.getElementById(id);
  const [T, A] = arrays.agents.shape, R = head.resources.length, STATE = arrays.converters.shape[2] - 1;
  const H = head.rows.length, V = head.rows[0].length, HEART = head.resources.indexOf("heart");
  const UNKNOWN = 255; // success of an action that has not been done yet
  const ROW = 0, COLUMN = 1, ORIENTATION = 2, FROZEN = 3, ACTION = 4, SUCCESS = 5;
  const FACING = [[-1, 0], [1, 0], [0, -1], [0, 1]];
  const FIRST_ATTACK = head.actions.findIndex((name) => name.startsWith("attack"));
  const THUMB = 8; // half of the slider's, so that the chart stands under it
  let step = live ? live.known() - 1 : 0, chosen = 0, timer = null, busy = false, colours = null, writing = 0;

  function at(name, t, i, j) {
    const array = arrays[name], width = array.shape[2] || 1;
    return array.data[(t * array.shape[1] + i) * width + (j || 0)];
  }
  const agentAt = (agent, what, t = step) => at("agents", t, agent, what);
  const known = () => live ? live.known() : T;
  const you = () => live ? live.steered() : null;
  const nameOf = (agent) => agent === you() ? `you (agent ${agent})` : `agent ${agent}`;
  const range = (n) => [...Array(n).keys()];
  const mean = (of) => range(A).reduce((sum, agent) => sum + of(agent), 0) / A;
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
  const hearts = (t, agent) => HEART < 0 ? 0 : at("inventories", t, agent, HEART);

  // Drawing
  const colour = (name) => colours.getPropertyValue(name).trim();
  function prepare(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    return pen;
  }
  // Draws rows x columns cells of the map with (top, left) as its first; cells outside of it stay empty.
  function draw(canvas, top, left, rows, columns, cell) {
    canvas.style.width = columns * cell + "px";
    canvas.style.height = rows * cell + "px";
    const pen = prepare(canvas, columns * cell, rows * cell);
    const inside = (r, c) => r >= top && r < top + rows && c >= left && c < left + columns;
    const write = (text, x, y, size, look = "") => {
      pen.font = `${look} ${size}px system-ui, sans-serif`;
      pen.fillText(text, x, y);
    };
    for (let r = Math.max(0, top); r < Math.min(H, top + rows); r++)
      for (let c = Math.max(0, left); c < Math.min(V, left + columns); c++) {
        pen.fillStyle = colour(head.legend[head.rows[r][c]] === "wall" ? "--wall" : "--floor");
        pen.fillRect((c - left) * cell + 0.5, (r - top) * cell + 0.5, cell - 1, cell - 1);
      }
    head.places.forEach(([r, c, name], index) => {
      if (!inside(r, c)) return;
      const x = (c - left) * cell, y = (r - top) * cell, [letter, fill] = head.signs[name];
      const full = range(R).some((k) => at("converters", step, index, k));
      pen.fillStyle = pen.strokeStyle = fill;
      pen.lineWidth = 2;
      if (full) pen.fillRect(x + 1, y + 1, cell - 2, cell - 2);
      else pen.strokeRect(x + 2, y + 2, cell - 4, cell - 4);
      pen.fillStyle = full ? "#fff" : colour("--ink");
      write(letter, x + cell / 2, y + cell / 2 + 1, cell * 0.62, "bold");
      if (at("converters", step, index, STATE) & 1) pen.fillRect(x + 3, y + cell - 5, cell - 6, 2);
    });
    for (const agent of [...range(A).filter((a) => a !== chosen), chosen]) {
      const r = agentAt(agent, ROW), c = agentAt(agent, COLUMN);
      if (!inside(r, c)) continue;
      const x = (c - left + 0.5) * cell, y = (r - top + 0.5) * cell, frozen = agentAt(agent, FROZEN);
      const disc = (size) => { pen.beginPath(); pen.arc(x, y, cell * size, 0, 2 * Math.PI); };
      const ring = (name, width, size) => {
        disc(size);
        pen.strokeStyle = name;
        pen.lineWidth = width;
        pen.stroke();
      };
      const [dy, dx] = FACING[agentAt(agent, ORIENTATION)];
      pen.beginPath();
      pen.moveTo(x + dx * cell * 0.58, y + dy * cell * 0.58);
      pen.lineTo(x + (dx + dy) * cell * 0.3, y + (dy + dx) * cell * 0.3);
      pen.lineTo(x + (dx - dy) * cell * 0.3, y + (dy - dx) * cell * 0.3);
      pen.fillStyle = colour("--ink");
      pen.fill();
      disc(0.42);
      pen.fillStyle = frozen ? colour("--floor") : head.colours[agent];
      pen.fill();
      if (frozen) ring(head.colours[agent], 2, 0.4);
      pen.fillStyle = frozen ? colour("--ink") : "#fff";
      write(String(agent), x, y + 1, cell * 0.46, "bold");
      const hit = head.combat && step + 1 < known() && agentAt(agent, FROZEN, step + 1) > frozen;
      if (hit || agentAt(agent, ACTION) >= FIRST_ATTACK && agentAt(agent, SUCCESS) === 1) ring("#d6336c", 3, 0.5);
      if (agent === chosen) ring(colour("--s1"), 3, 0.62);
      pen.fillStyle = colour("--ink");
      if (at("rewards", step, agent) > 0) write("+", x + cell * 0.45, y - cell * 0.4, cell * 0.7, "bold");
      if (agent === you()) write("you", x, y - cell * 0.85, Math.max(11, cell * 0.5), "bold");
    }
  }
  // Hearts and reward over time; a line up to the newest row, and the step that is shown.
  function chart() {
    const lines = [
      [colour("--s0"), "hearts per agent", (t) => mean((agent) => hearts(t, agent)), 2],
      [colour("--soft"), "reward per agent so far", (t) => mean((agent) => total(t, agent)), 2],
      [colour("--s1"), `hearts of ${nameOf(chosen)}`, (t) => hearts(t, chosen), 0],
    ];
    const box = get("chart").getBoundingClientRect(), pen = prepare(get("chart"), box.width, box.height);
    const values = lines.map(([, , of]) => range(known()).map(of));
    const high = Math.max(1, ...values.map((line) => line.reduce((a, b) => Math.max(a, b))));
    const low = Math.min(0, ...values.map((line) => line.reduce((a, b) => Math.min(a, b))));
    const x = (t) => THUMB + (box.width - 2 * THUMB) * t / Math.max(1, T - 1);
    const y = (value) => box.height - 3 - (box.height - 6) * (value - low) / (high - low);
    const line = (look, width, points) => {
      pen.beginPath();
      for (const [a, b] of points) pen.lineTo(a, b);
      pen.strokeStyle = look;
      pen.lineWidth = width;
      pen.stroke();
    };
    line(colour("--grid"), 1, [[THUMB, y(0)], [box.width - THUMB, y(0)]]);
    lines.forEach(([look], k) => line(look, k === 2 ? 1 : 2, values[k].map((value, t) => [x(t), y(value)])));
    line(colour("--ink"), 1, [[x(step), 0], [x(step), box.height]]);
    pen.fillStyle = colour("--soft");
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "left";
    pen.fillText(high.toFixed(high < 10 ? 1 : 0), THUMB + 2, 8);
    get("now").replaceChildren(...lines.map(([look, name, , digits], k) => {
      const entry = document.createElement("span");
      entry.style.setProperty("--own", look);
      entry.textContent = `${name}: ${values[k][step].toFixed(digits)}`;
      return entry;
    }));
  }

  // Tables. Cells that are there are kept, so that a click finds its row although steps go by.
  function fill(body, rows) {
    while (body.rows.length > rows.length) body.deleteRow(-1);
    return rows.map((values, place) => {
      const row = body.rows[place] || body.insertRow();
      values.forEach((value, column) => {
        const cell = row.cells[column] || row.appendChild(document.createElement(column ? "td" : "th"));
        if (!column) cell.scope = "row";
        cell.classList.toggle("number", typeof value === "number");
        cell.textContent = String(value);
      });
      return row;
    });
  }
  function amounts(name, i, besides = -1) {
    const found = range(R).filter((k) => k !== besides && at(name, step, i, k));
    return found.map((k) => `${at(name, step, i, k)} ${head.resources[k]}`).join(", ") || "nothing";
  }
  function actionText(agent, next = " (next)", failed = " (failed)") {
    const done = agentAt(agent, SUCCESS);
    return head.actions[agentAt(agent, ACTION)] + (done === UNKNOWN ? next : done ? "" : failed);
  }
  function show() {
    const [rows, columns] = head.window, r = agentAt(chosen, ROW), c = agentAt(chosen, COLUMN);
    const room = get("room"), beside = matchMedia("screen and (min-width: 62rem)").matches;
    colours = getComputedStyle(document.documentElement);
    const high = beside ? room.clientHeight : 0.7 * window.innerHeight;
    draw(get("map"), 0, 0, H, V, Math.max(8, Math.floor(Math.min(room.clientWidth / V, high / H))));
    draw(get("view"), r - (rows >> 1), c - (columns >> 1), rows, columns, 17);
    chart();
    get("clock").textContent = `${step} of ${T - 1}`;
    get("scrub").value = String(step);
    get("agent").value = String(chosen);
    range(A).forEach((agent) => { get("agent").options[agent].text = nameOf(agent); });
    get("map").setAttribute("aria-label", `Map at step ${step}; ${nameOf(chosen)} in row ${r}, column ${c}`);
    get("followed").textContent = nameOf(chosen)[0].toUpperCase() + nameOf(chosen).slice(1);
    const predicts = arrays.values && !Number.isNaN(at("values", step, chosen));
    fill(get("about"), [
      ["played by", chosen === you() ? "you" : head.players[chosen]],
      ["place", `row ${r}, column ${c}, facing ${head.orientations[agentAt(chosen, ORIENTATION)]}`],
      ["holds", amounts("inventories", chosen)],
      ["frozen", `${agentAt(chosen, FROZEN)} actions`],
      ["action", actionText(chosen)],
      ["reward", at("rewards", step, chosen).toFixed(3)],
      ["reward so far", total(step, chosen).toFixed(3)],
      ["value", predicts ? at("values", step, chosen).toFixed(3) : "this player predicts none"],
      ...(head.hearts ? [["hearts at the end", String(head.hearts[chosen])]] : []),
    ]);
    const shares = head.actions.map((_, k) => arrays.probabilities ? at("probabilities", step, chosen, k) / 255 : 0);
    const possible = range(shares.length).filter((k) => head.combat || k < FIRST_ATTACK);
    const bars = fill(get("probabilities"), shares.some((share) => share)
      ? possible.map((k) => [
        head.actions[k] + (k === agentAt(chosen, ACTION) ? " ◂" : ""), `${(100 * shares[k]).toFixed(0)} %`, ""])
      : [["this player has none", "", ""]]);
    bars.forEach((row, place) => row.style.setProperty("--share", shares[possible[place]]));
    fill(get("all"), range(A).map((agent) => [
      agent === you() ? `${agent} you` : `${agent}`, actionText(agent, "", "\u00a0✗"),
      amounts("inventories", agent, HEART), Number(total(step, agent).toFixed(2)), hearts(step, agent),
    ])).forEach((row, agent) => {
      row.style.setProperty("--own", head.colours[agent]);
      row.classList.toggle("chosen", agent === chosen);
    });
    fill(get("converters"), head.places.map(([row, column, name], index) => {
      const state = at("converters", step, index, STATE);
      return [`${name} ${row},${column}`, amounts("converters", index),
        state & 1 ? "converting" : state & 2 ? "cooling down" : "ready"];
    }));
    clearTimeout(writing); // browsers allow few changes of the address in a second
    if (timer === null) writing = setTimeout(toAddress, 150);
  }

  // The address holds what is shown: #step=..&agent=..; of a live world only the agent.
  function toAddress() {
    history.replaceState(null, "", `#${live ? "" : `step=${step}&`}agent=${chosen}`);
  }
  function fromAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    const number = (name, most, otherwise) => {
      const found = parseInt(asked.get(name));
      return found >= 0 ? Math.min(found, most) : otherwise;
    };
    step = number("step", known() - 1, step);
    chosen = number("agent", A - 1, chosen);
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
    if (timer === null) return;
    clearInterval(timer);
    timer = null;
    get("play").textContent = "Play";
    show();
  }
  function play() {
    if (timer !== null) return stop();
    if (step === T - 1 && !live) step = 0;
    get("play").textContent = "Pause";
    timer = setInterval(() => go(step + 1), 1000 / Number(get("speed").value));
  }
  const by = (steps) => { stop(); go(step + steps); };
  const jump = (to) => see(Math.max(0, Math.min(known() - 1, to)));
  function choose(agent) {
    chosen = (agent + A) % A;
    show();
  }
  const when = (id, what, act) => get(id).addEventListener(what, act);
  for (let agent = 0; agent < A; agent++) get("agent").append(new Option("", String(agent)));
  get("scrub").max = String(T - 1);
  for (const text of [
    ...Object.entries(head.signs).map(([name, [letter]]) => `${letter} ${name}`), "filled: something inside",
    "line below: converting", "tip: where an agent faces", "orange ring: followed", "hollow disc: frozen",
    ...(head.combat ? ["red ring: attacks or is hit"] : []), "+: rewarded",
    "✗: the action failed",
  ]) get("key").append(Object.assign(document.createElement("li"), {textContent: text}));
  when("scrub", "input", (event) => jump(Number(event.target.value)));
  when("play", "click", play);
  when("step", "click", () => by(1));
  when("back", "click", () => by(-1));
  when("speed", "change", () => { if (timer !== null) { stop(); play(); } });
  when("agent", "change", (event) => choose(Number(event.target.value)));
  when("all", "click", (event) => choose(event.target.closest("tr").rowIndex - 1));
  when("map", "click", (event) => {
    const box = get("map").getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / box.height * H);
    const column = Math.floor((event.clientX - box.left) / box.width * V);
    const found = range(A).find((agent) => agentAt(agent, ROW) === row && agentAt(agent, COLUMN) === column);
    if (found !== undefined) choose(found);
  });
  for (const what of ["pointerdown", "pointermove"]) when("chart", what, (event) => {
    if (!event.buttons) return;
    const box = get("chart").getBoundingClientRect();
    jump(Math.round((event.clientX - box.left - THUMB) / (box.width - 2 * THUMB) * (T - 1)));
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
    if (event.target.closest("button, summary, a") && [" ", "Enter"].includes(event.key)) return; // presses it
    const act = {" ": play, ArrowRight: () => by(1), ArrowLeft: () => by(-1),
      n: () => choose(chosen + 1), p: () => choose(chosen - 1), ...(live ? live.keys() : {})}[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  window.addEventListener("hashchange", () => { fromAddress(); show(); });
  new ResizeObserver(show).observe(get("room"));
  window.addEventListener("resize", show);
  fromAddress();
  show();
  return {go, see, choose, show, step: () => step, playing: () => timer !== null};
}
