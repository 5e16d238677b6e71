// Means of all systems, and the distribution and paired differences of the chosen metric.

const ARROWS = { higher: "↑", lower: "↓", zero: "→ 0" };
const BETTER = { higher: "higher is better", lower: "lower is better", zero: "0 is best" };

function heading(metric) {
  return metric.unit ? `${metric.label}, ${metric.unit}` : metric.label;
}

function interval(value, digits) {
  if (value.low === null) return `n = ${value.n}`;
  return `${format(value.low, digits)} … ${format(value.high, digits)}`;
}

function drawSummary() {
  const shown = SYSTEMS.map((_, index) => index).filter((system) =>
    DATA.summary.some((row) => row[system]),
  );
  const head = element(
    "tr",
    {},
    element("th", { scope: "col" }, "Metric"),
    ...shown.map((system) => element("th", { scope: "col" }, named(SYSTEMS[system].name))),
  );
  const rows = METRICS.map((metric, index) =>
    element(
      "tr",
      {},
      element(
        "th",
        { scope: "row" },
        element(
          "button",
          {
            type: "button",
            class: "plain",
            "aria-pressed": "false",
            onclick: () => chooseMetric(index),
          },
          `${heading(metric)} `,
          element("span", { class: "arrow", title: BETTER[metric.better] }, ARROWS[metric.better]),
        ),
      ),
      ...shown.map((system) => {
        const value = DATA.summary[index][system];
        if (!value) return element("td", {}, "–");
        return element(
          "td",
          {},
          format(value.mean, metric.digits),
          element("span", { class: "interval" }, interval(value, metric.digits)),
        );
      }),
    ),
  );
  byId("summary").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
  byId("summary-note").textContent = DATA.interval;
}

function markMetric() {
  byId("summary").querySelectorAll("tbody tr").forEach((row, index) => {
    row.classList.toggle("chosen", index === state.metric);
    row.querySelector("button").setAttribute("aria-pressed", String(index === state.metric));
  });
}

// Round numbers within a range, about `count` of them.
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const size = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
  const first = Math.ceil(low / size);
  const last = Math.floor(high / size + 1e-9);
  const digits = Math.max(0, -Math.floor(Math.log10(size) + 1e-9));
  return Array.from({ length: last - first + 1 }, (_, k) => ({
    value: (first + k) * size,
    text: format((first + k) * size, digits),
  }));
}

const DOT = 4; // px
const ROW = 58;

// Vertical places of dots of one row, so that dots of about the same value stand side by side.
function swarm(positions) {
  const columns = new Map();
  for (const position of positions) {
    const column = Math.round(position / DOT);
    columns.set(column, (columns.get(column) ?? 0) + 1);
  }
  const highest = Math.max(1, ...columns.values());
  const pitch = Math.min(DOT + 1, (ROW - 26) / highest);
  const used = new Map();
  return positions.map((position) => {
    const column = Math.round(position / DOT);
    const place = used.get(column) ?? 0;
    used.set(column, place + 1);
    return (place % 2 ? 1 : -1) * Math.ceil(place / 2) * pitch;
  });
}

function drawPlot() {
  const metric = metricNow();
  const systems = scoredSystems();
  const width = Math.max(240, byId("plot").clientWidth);
  const rows = systems.map((system) => ({
    system,
    dots: ITEMS.map((_, item) => ({ item, value: score(item, system) })).filter(
      (dot) => dot.value !== null,
    ),
  }));
  byId("distribution-title").textContent = `${heading(metric)} (${BETTER[metric.better]})`;
  const values = rows.flatMap((row) => row.dots.map((dot) => dot.value));
  byId("description").textContent = metric.description;
  if (!values.length) return byId("plot").replaceChildren();
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = (high - low || Math.abs(high) || 1) * 0.04;
  [low, high] = [low - margin, high + margin];
  const x = (value) => 6 + ((value - low) / (high - low)) * (width - 12);
  const anchor = (place) => (place < 20 ? "start" : place > width - 20 ? "end" : "middle");
  const height = ROW * rows.length + 22;
  const parts = ticks(low, high, width < 400 ? 4 : 7).flatMap(({ value, text }) => [
    shape("line", { class: "grid", x1: x(value), x2: x(value), y1: 0, y2: height - 20 }),
    shape("text", { x: x(value), y: height - 5, "text-anchor": anchor(x(value)) }, text),
  ]);
  rows.forEach((row, index) => {
    const base = ROW * index + 37;
    const summary = DATA.summary[state.metric][row.system];
    const places = swarm(row.dots.map((dot) => x(dot.value)));
    const path = row.dots.map((dot, k) => `M${x(dot.value).toFixed(1)} ${(base + places[k]).toFixed(1)}h0`);
    parts.push(shape("path", { class: "dots", d: path.join("") }));
    if (summary.low !== null) {
      const [from, to] = [x(summary.low), x(summary.high)];
      parts.push(shape("rect", { class: "mean", x: from, width: Math.max(1, to - from), y: base - 17, height: 34 }));
    }
    parts.push(shape("line", { class: "mean", x1: x(summary.mean), x2: x(summary.mean), y1: base - 17, y2: base + 17 }));
    const chosen = row.dots.findIndex((dot) => dot.item === state.item);
    if (chosen >= 0) {
      const center = { cx: x(row.dots[chosen].value), cy: base + places[chosen] };
      parts.push(shape("circle", { class: "chosen", r: 4.5, ...center }));
    }
    parts.push(shape("text", { class: "label", x: 6, y: ROW * index + 14 }, SYSTEMS[row.system].name));
    row.points = row.dots.map((dot, k) => ({ item: dot.item, x: x(dot.value), y: base + places[k] }));
  });
  const means = rows.map(({ system }) => {
    const { mean } = DATA.summary[state.metric][system];
    return `${SYSTEMS[system].name} ${format(mean, metric.digits)}`;
  });
  const plot = shape(
    "svg",
    {
      width,
      height,
      role: "img",
      "aria-label": `Distribution of ${heading(metric)}; means: ${means.join(", ")}`,
      onclick: (event) => chooseNearest(event, plot, rows.flatMap((row) => row.points)),
    },
    ...parts,
  );
  byId("plot").replaceChildren(plot);
}

function chooseNearest(event, plot, points) {
  const box = plot.getBoundingClientRect();
  const distance = (point) =>
    Math.hypot(point.x - (event.clientX - box.left), point.y - (event.clientY - box.top));
  const nearest = points.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  if (distance(nearest) < 12) chooseItem(nearest.item);
}

function drawDifferences() {
  const metric = metricNow();
  const rows = DATA.differences.filter((difference) => difference.metric === state.metric);
  const same = rows.every(({ n }) => n === rows[0].n);
  const row = ({ a, b, mean, low, high, n }) => {
    const known = low !== null;
    const range = known ? `${signed(low, metric.digits)} … ${signed(high, metric.digits)}` : "";
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, named(SYSTEMS[a].name), " − ", named(SYSTEMS[b].name)),
      element("td", { class: known && (low > 0 || high < 0) ? "clear" : "" }, signed(mean, metric.digits)),
      element("td", { class: "interval" }, range),
      same ? null : element("td", { class: "interval" }, plural(n, "item")),
    );
  };
  byId("differences").hidden = rows.length === 0;
  byId("differences").replaceChildren(
    element(
      "caption",
      {},
      `Mean difference on the same ${same && rows.length ? plural(rows[0].n, "item") : "items"}; ` +
        "bold if its 95 % interval is on one side of 0",
    ),
    element("tbody", {}, ...rows.map(row)),
  );
}

function startSummary() {
  byId("summary").closest("section").hidden = METRICS.length === 0;
  drawSummary();
  on("metric", () => {
    markMetric();
    drawDifferences();
  });
  on("metric item", drawPlot);
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) > 1) drawPlot();
    width = entry.contentRect.width;
  }).observe(byId("plot"));
}
