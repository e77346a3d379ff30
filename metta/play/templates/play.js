// Asks the server for the episode so far, shows it, and sends it the next steps.
(async () => {
  const get = (id) => document.getElementById(id);
  const message = get("message");
  const say = (text) => { message.textContent = text; message.hidden = text === ""; };
  async function ask(what, body) {
    const options = body === undefined ? {} :
      {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
    let answer;
    try {
      answer = await fetch(what, options);
    } catch {
      throw new Error("the command that serves this world has ended. Start it again and open the address that it prints.");
    }
    const found = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(found.error), {stale: answer.status === 409});
    return found;
  }
  let start;
  try {
    start = await ask("episode");
  } catch (error) {
    return say("The world cannot be reached: " + error.message);
  }
  const head = start.head, T = head.steps, A = head.players.length;
  const C = head.places.length, R = head.resources.length, K = head.actions.length;
  const array = (Kind, ...shape) => ({data: new Kind(shape.reduce((a, b) => a * b, 1)), shape});
  const arrays = {
    agents: array(Uint8Array, T, A, 6),
    inventories: array(Uint8Array, T, A, R),
    converters: array(Uint8Array, T, C, R + 1),
    rewards: array(Float32Array, T, A),
    probabilities: array(Uint8Array, T, A, K),
    values: array(Float32Array, T, A),
  };
  let count = 0, ended = start.ended, wanted = null, asking = false;
  function put(name, row, values) {
    const {data, shape} = arrays[name], width = data.length / shape[0];
    data.set(values.flat().map((value) => value === null ? NaN : value), row * width);
  }
  function add(row) {
    for (const name of Object.keys(arrays)) put(name, count, row[name]);
    count++;
  }
  start.rows.forEach(add);

  // Shows what another tab did meanwhile, and says whether it did something.
  async function catchUp() {
    const before = count, wasEnded = ended, atEnd = shown.step() === count - 1;
    const news = await ask("since/" + (count - 1));
    if (news.game !== start.game) {
      location.reload();
      return true;
    }
    if (count !== before) return false; // a step was made meanwhile, and brought its own row
    count--; // the last row may have been done
    news.rows.forEach(add);
    ended = news.ended;
    if (count === before && ended === wasEnded) return false;
    if (atEnd) shown.see(count - 1);
    else shown.show();
    say(ended ? "The episode is over." : "");
    return true;
  }
  const watching = setInterval(async () => {
    if (asking || document.hidden) return;
    asking = true;
    try {
      await catchUp();
    } catch (error) {
      clearInterval(watching);
      say("The world cannot be reached: " + error.message);
    }
    asking = false;
  }, 1000);

  const steered = () => get("steer").value === "" ? null : Number(get("steer").value);
  async function step(action) {
    if (ended) return false;
    const wish = action === undefined ? wanted : action;
    wanted = null;
    // Whoever is steered waits unless told otherwise.
    const orders = steered() === null ? {} : {[steered()]: wish === null ? 0 : wish};
    asking = true;
    try {
      const answer = await ask("step", {game: start.game, step: count - 1, steered: orders});
      put("agents", count - 1, answer.done.agents);
      put("rewards", count - 1, answer.done.rewards);
      if (answer.row) add(answer.row);
      else {
        ended = true;
        say("The episode is over.");
      }
    } catch (error) {
      if (error.stale) await catchUp().catch(() => {});
      say("No step was made: " + error.message);
      return false;
    } finally {
      asking = false;
    }
    return !ended;
  }
  const number = (name) => head.actions.indexOf(name);
  const moves = {w: "move_north", s: "move_south", a: "move_west", d: "move_east", ArrowUp: "move_north",
    ArrowDown: "move_south", ArrowLeft: "move_west", ArrowRight: "move_east", g: "get_items", u: "put_items", x: "noop"};
  for (let k = 0; head.combat && k < 9; k++) moves[String(k + 1)] = "attack_" + k;
  const orders = Object.fromEntries(Object.entries(moves).map(([key, name]) => [key, () => act(number(name))]));
  get("steer").append(...head.players.map((name, agent) => new Option(`agent ${agent} (${name})`, String(agent))));
  get("steer").value = get("steering").dataset.steer;
  const shown = watch(head, arrays, {known: () => count, step, steered, keys: () => steered() === null ? {} : orders});
  function act(action) {
    if (steered() === null) return say("Choose first whom you steer.");
    if (shown.playing()) wanted = action;
    else shown.go(count, action);
  }

  get("steer").addEventListener("change", () => shown.choose(steered() ?? Number(get("agent").value)));
  for (const button of document.querySelectorAll(".act"))
    button.addEventListener("click", () => act(Number(button.dataset.action)));
  get("attack")?.addEventListener("click", () => act(Number(get("target").value)));
  for (let episode = 0; episode < head.episodes; episode++) get("episode").append(new Option(String(episode)));
  get("episode").value = String(head.episode);
  get("restart").addEventListener("click", async () => {
    try {
      await ask("restart", {episode: Number(get("episode").value)});
      location.reload();
    } catch (error) {
      say("No other episode was begun: " + error.message);
    }
  });
  if (steered() !== null) shown.choose(steered());
  say(ended ? "The episode is over." : "");
})();
