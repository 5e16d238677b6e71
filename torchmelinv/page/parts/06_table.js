// The table of items and systems: one metric at a time, sorted, filtered, drawn in parts.

const PART = 100; // rows
let limit = PART;

const ORDERS = {
  name: "by name",
  worst: "worst first",
  best: "best first",
  spread: "largest difference first",
};

function chooseOrder(by, system = null) {
  state.order = { by, system };
  arrange();
}

function drawOrders() {
  const option = (by, system, text) => element("option", { value: `${by} ${system ?? ""}` }, text);
  const systems = scoredSystems();
  byId("order").replaceChildren(
    ...["worst", "best"].flatMap((by) =>
      systems.map((system) => option(by, system, `${SYSTEMS[system].name}: ${ORDERS[by]}`)),
    ),
    ...(systems.length > 1 ? [option("spread", null, ORDERS.spread)] : []),
    option("name", null, ORDERS.name),
  );
}

// A head whose button sorts by its column, first from the worst, then from the best.
function columnHead(by, system, label) {
  const sort = () => {
    const { order } = state;
    const worst = by === "worst" && order.system === system && order.by === "worst";
    chooseOrder(worst ? "best" : by, system);
  };
  return element(
    "th",
    { scope: "col", "data-by": by, "data-system": system ?? "" },
    element(
      "button",
      { type: "button", class: "plain", onclick: sort },
      named(label),
      element("span", { class: "sorted" }),
    ),
  );
}

function drawHead() {
  const systems = scoredSystems();
  byId("items").tHead.replaceChildren(
    element(
      "tr",
      {},
      columnHead("name", null, "Item"),
      ...systems.map((system) => columnHead("worst", system, SYSTEMS[system].name)),
      systems.length > 1 ? columnHead("spread", null, "Range") : null,
    ),
  );
}

function markHead() {
  const { by, system } = state.order;
  byId("order").value = `${by} ${system ?? ""}`;
  for (const head of byId("items").tHead.querySelectorAll("th")) {
    const same = head.dataset.system === String(system ?? "");
    const sorted = same && (head.dataset.by === by || (head.dataset.by === "worst" && by === "best"));
    const rising = by === "name" || (metricNow().better === "higher") === (by === "worst");
    const direction = by !== "spread" && rising ? "ascending" : "descending";
    head.setAttribute("aria-sort", sorted ? direction : "none");
    head.querySelector(".sorted").textContent = sorted ? ORDERS[by].replace(" difference", "") : "";
  }
}

function bestSystems(item, systems) {
  const values = systems.map((system) => {
    const value = score(item, system);
    return value === null ? -Infinity : goodness(metricNow(), value);
  });
  const best = Math.max(...values);
  return values.map((value) => systems.length > 1 && value === best && best > -Infinity);
}

function drawRow(item) {
  const { digits } = metricNow();
  const systems = scoredSystems();
  const best = bestSystems(item, systems);
  return element(
    "tr",
    { "data-item": item },
    element(
      "th",
      { scope: "row" },
      element("button", { type: "button", class: "plain" }, named(ITEMS[item].name)),
    ),
    ...systems.map((system, k) =>
      element(
        "td",
        { "data-system": system },
        best[k]
          ? element("strong", {}, format(score(item, system), digits))
          : format(score(item, system), digits),
      ),
    ),
    systems.length > 1 ? element("td", {}, format(spread(item), digits)) : null,
  );
}

function drawRows() {
  const { visible } = state;
  byId("items").tBodies[0].replaceChildren(...visible.slice(0, limit).map(drawRow));
  const rest = visible.length - limit;
  byId("more").hidden = rest <= 0;
  byId("more").textContent = `Show ${Math.min(rest, PART)} more`;
  byId("count").textContent =
    visible.length === ITEMS.length
      ? plural(ITEMS.length, "item")
      : `${visible.length} of ${plural(ITEMS.length, "item")}`;
  markRow();
}

function markRow() {
  for (const row of byId("items").tBodies[0].rows) {
    const chosen = Number(row.dataset.item) === state.item;
    row.classList.toggle("chosen", chosen);
    row.querySelector("button").setAttribute("aria-current", String(chosen));
  }
}

// Scroll within the table alone; the page stays where it is.
function showRow() {
  const row = byId("items").querySelector("tr.chosen");
  if (!row) return;
  const list = row.closest(".list");
  const head = byId("items").tHead.offsetHeight;
  const top = row.offsetTop - head;
  if (top < list.scrollTop) list.scrollTop = top;
  const bottom = row.offsetTop + row.offsetHeight - list.clientHeight;
  if (bottom > list.scrollTop) list.scrollTop = bottom;
}

function startTable(chosen) {
  on("metric", () => {
    drawOrders();
    drawHead();
    byId("metric").value = state.metric;
  });
  on("order", () => {
    limit = PART;
    markHead();
    drawRows();
    byId("items").closest(".list").scrollTop = 0;
  });
  on("item", () => {
    const place = state.visible.indexOf(state.item);
    if (place >= limit) {
      limit = PART * Math.ceil((place + 1) / PART);
      drawRows();
    }
    markRow();
    showRow();
  });
  byId("metric").replaceChildren(
    ...METRICS.map((metric, index) => element("option", { value: index }, heading(metric))),
  );
  byId("metric").addEventListener("change", () => chooseMetric(Number(byId("metric").value)));
  byId("order").addEventListener("change", () => {
    const [by, system] = byId("order").value.split(" ");
    chooseOrder(by, system === "" ? null : Number(system));
  });
  byId("filter").addEventListener("input", () => {
    state.filter = byId("filter").value;
    arrange();
  });
  byId("filter").addEventListener("keydown", (event) => {
    if (event.key === "Enter") byId("filter").blur(); // so that keys play again
  });
  byId("more").addEventListener("click", () => {
    limit += PART;
    drawRows();
  });
  byId("items").tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    const system = event.target.closest("td")?.dataset.system;
    if (row) chosen(Number(row.dataset.item), system === undefined ? null : Number(system));
  });
}
