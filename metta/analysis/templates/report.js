// Draws the figures, switches architectures and players on and off in all of them, and sorts tables.
"use strict";
(() => {
  const { specs, config } = JSON.parse(document.getElementById("figures").textContent);
  const views = [];
  const off = new Set();
  const buttons = [...document.querySelectorAll(".who")];

  async function draw(place) {
    const made = await vegaEmbed(place, specs[place.dataset.figure], {
      ast: true, // the page's policy allows no evaluation of text
      renderer: "svg",
      actions: { export: true, source: false, compiled: false, editor: false },
      config: { ...config, legend: { ...config.legend, disable: true } },
      logLevel: 1, // errors only: nothing is left of a scale when nobody is drawn
      downloadFileName: place.dataset.figure,
    });
    views.push(made.view);
    place.dataset.drawn = "";
    if (off.size) await made.view.signal("off", [...off]).runAsync();
  }

  function show() {
    for (const button of buttons) button.setAttribute("aria-pressed", String(!off.has(button.dataset.who)));
    for (const view of views) view.signal("off", [...off]).runAsync();
  }

  function all(names) {
    off.clear();
    for (const name of names) off.add(name);
    show();
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      const who = button.dataset.who;
      if (!off.delete(who)) off.add(who);
      show();
    });
  }
  document.getElementById("everybody")?.addEventListener("click", () => all([]));
  document.getElementById("nobody")?.addEventListener("click", () => {
    all(buttons.filter((button) => !button.classList.contains("player")).map((button) => button.dataset.who));
  });

  function order(cell) {
    const text = cell.dataset.order;
    return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
  }

  function compare(one, other) {
    if (typeof one !== typeof other) return typeof one === "number" ? 1 : -1;
    if (typeof one === "number") return one - other;
    return one.localeCompare(other);
  }

  for (const button of document.querySelectorAll(".sort")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const body = head.closest("table").tBodies[0];
      const rows = [...body.rows];
      const numbers = rows.some((row) => typeof order(row.cells[head.cellIndex]) === "number");
      const before = head.getAttribute("aria-sort") || (numbers ? "ascending" : "descending");
      const sign = before === "ascending" ? -1 : 1;
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      rows.sort((a, b) => sign * compare(order(a.cells[head.cellIndex]), order(b.cells[head.cellIndex])));
      body.append(...rows);
    });
  }

  // One after the other, so that the first figures are there at once.
  (async () => {
    for (const place of document.querySelectorAll(".chart")) await draw(place);
    document.body.dataset.ready = "";
  })();
})();
