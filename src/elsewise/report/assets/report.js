(() => {
const { data, $, say, number, share, fill, read } = page;

// Wilson's score interval of k in n.
const wilson = (k, n) => {
  const z = 1.959963984540054, p = k / n, middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const half = z / (1 + z * z / n) * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return [Math.max(0, Math.min(middle - half, p)), Math.min(1, Math.max(middle + half, p))];
};

// Sortable tables: numbers by their value in this language.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => {
        const words = row.cells[column].textContent.trim();
        const measured = row.cells[column].querySelector(".fill");
        const found = measured ? Number(measured.getAttribute("width")) : Number(words.split(say.thousands).join("").replace(say.decimal, ".").replace(/[%\s]/g, ""));
        return head.classList.contains("num") || measured ? (Number.isNaN(found) || words === say.none ? -Infinity : found) : words;
      };
      const keyed = [...table.tBodies[0].rows].map((row) => [value(row), row]);
      keyed.sort(([a], [b]) => (typeof a === "string" ? a.localeCompare(b) : a - b) * (down ? -1 : 1));
      table.tBodies[0].append(...keyed.map(([, row]) => row));
    });
  });
}
const search = $("search");
if (search) {
  search.parentElement.hidden = false;
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLocaleLowerCase(document.documentElement.lang);
    for (const row of $("label-table").tBodies[0].rows) {
      row.hidden = !row.cells[0].textContent.toLocaleLowerCase(document.documentElement.lang).includes(wanted);
    }
  });
}

if (!data.counts) return;

// Counts at each threshold, from those of the rows that each threshold adds.
const thresholds = data.counts.thresholds.map((t) => t === "inf" ? Infinity : t === "-inf" ? -Infinity : t);
const size = thresholds.length;
const cumulated = (packed) => {
  const answered = new Int32Array(size), wrong = new Int32Array(size);
  for (let i = 0, at = 0; i < packed.length; i += 3) {
    at += packed[i];
    answered[at] = packed[i + 1];
    wrong[at] = packed[i + 2];
  }
  for (let i = size - 2; i >= 0; i--) { answered[i] += answered[i + 1]; wrong[i] += wrong[i + 1]; }
  return { answered, wrong };
};
const whole = { ...cumulated(data.counts.whole), rows: data.counts.rows };
const labels = data.labels.map((name, i) => ({ name, ...cumulated(data.counts.labels[i]), rows: data.counts.would_get[i] }));
const band = data.band.map(([t, low]) => [t === "-inf" ? -Infinity : t, low]);  // from strict to loose

const slider = $("slider"), field = $("number"), chosen = $("label"), details = $("by-label");
labels.forEach((label, i) => chosen.add(new Option(fill(say.option, { name: "\u2068" + label.name + "\u2069", rows: number(label.rows, 0) }), i)));
const lines = [...details.querySelectorAll("tbody tr")];
let at = 0;

const shown = () => chosen.value === "-1" ? whole : labels[chosen.value];
const costs = () => [read($("cost-error").value), read($("cost-look").value)];
const costAt = (counts, i, [error, look]) => 1000 * (error * counts.wrong[i] + look * (counts.rows - counts.answered[i])) / counts.rows;
const cheapest = (counts) => {
  const [error, look] = costs();
  if (!(error >= 0 && look >= 0) || !counts.rows) return -1;
  let best = size - 1;
  for (let i = size - 2; i >= 0; i--) if (costAt(counts, i, [error, look]) < costAt(counts, best, [error, look])) best = i;
  return best;
};
let known = {};  // the cheapest place changes with the costs and the label, and not with the slider
const leastCostly = (counts) => {
  const key = [counts.name, ...costs()].join();
  if (known.key !== key) known = { key, best: cheapest(counts) };
  return known.best;
};
const promised = (t) => {
  const above = band.filter(([point]) => point >= t);
  const last = above[above.length - 1];
  return last && last[1] > 0 ? last : null;
};
const place = (t) => {
  const x = data.scale, part = (Math.min(Math.max(t, x.low), x.high) - x.low) / (x.high - x.low);
  return x.start + part * (x.end - x.start);
};
// The shortest number that answers the same texts as a threshold: above the threshold before it, and at most it.
const short = (i) => {
  const t = thresholds[i];
  for (let digits = 2; digits < 16 && Number.isFinite(t); digits++) {
    const written = Number((Math.floor(t * 10 ** digits) / 10 ** digits).toFixed(digits));
    if (written > thresholds[i - 1] && written <= t) return written;
  }
  return t;
};
const mark = (group, i) => {
  group.setAttribute("transform", `translate(${place(thresholds[i]).toFixed(1)} 0)`);
  group.setAttribute("display", "inline");
};
const put = (id, words) => { $(id).textContent = words; };

function showLabels() {
  if (!details.open) return;
  for (const row of lines) {
    const label = labels[row.dataset.label], n = label.answered[at];
    row.cells[2].textContent = number(n, 0);
    row.cells[3].textContent = number(label.wrong[at], 0);
    row.querySelector(".fill").setAttribute("width", label.rows ? (100 * n / label.rows).toFixed(1) : 0);
  }
}

function show(typed) {
  const counts = shown(), t = thresholds[at], n = counts.answered[at], e = counts.wrong[at], rows = counts.rows;
  slider.value = at;
  slider.setAttribute("aria-valuetext", number(t, 4));
  if (!typed) field.value = t === Infinity ? "inf" : t === -Infinity ? "-inf" : String(short(at)).replace(".", say.decimal);
  const [low, high] = n ? wilson(n - e, n) : [0, 1];
  put("o-coverage", share(n / rows));
  put("o-answered", fill(say.of, { n: number(n, 0), rows: number(rows, 0) }));
  put("o-accuracy", n ? share((n - e) / n) : say.none);
  put("o-interval", n ? fill(say.interval, { low: share(low), high: share(high) }) : "");
  put("o-errors", number(1000 * e / rows, 0));
  put("o-wrong", fill(say.of, { n: number(e, 0), rows: number(rows, 0) }));
  put("o-looks", number(1000 * (rows - n) / rows, 0));
  put("o-other", fill(say.of, { n: number(rows - n, 0), rows: number(rows, 0) }));
  const best = leastCostly(counts);
  put("o-cost", best < 0 ? say.none : number(costAt(counts, at, costs()), 0));
  put("o-cheapest", best < 0 ? "" : fill(say.cheapest, { threshold: number(thresholds[best], 4), cost: number(costAt(counts, best, costs()), 0) }));
  if (best >= 0) mark($("cheapest"), best); else $("cheapest").setAttribute("display", "none");
  mark($("cursor"), at);
  $("few").hidden = counts === whole || rows >= data.few;
  showBand(counts === whole, t);
  showLabels();
}

function showBand(isWhole, t) {
  const point = isWhole ? promised(t) : null;
  put("o-band", point ? fill(say.at_least, { share: share(Math.floor(1000 * point[1] + 1e-9) / 1000) }) : say.nothing);
  put("o-band-note", !band.length ? say.no_band : !isWhole ? say.band_whole : point ? fill(say.band_at, { threshold: number(point[0], 4) }) : "");
  if (!$("command")) return;
  const written = t === -Infinity ? "=-inf" : (t < 0 ? "=" : " ") + short(at);
  put("command", point ? `elsewise threshold ${data.model} --at${written} --band` : say.no_command);
  $("copy").disabled = !point;
}

const moved = (i, typed) => { at = Math.min(Math.max(i, 0), size - 1); show(typed); };
slider.addEventListener("input", () => moved(Number(slider.value)));
field.addEventListener("input", () => {
  const t = read(field.value);
  if (Number.isNaN(t)) return;
  const found = thresholds.findIndex((one) => one >= t);
  moved(found, true);
});
field.addEventListener("change", () => show());
field.addEventListener("keydown", (event) => {
  const step = { ArrowUp: 1, ArrowDown: -1, PageUp: 25, PageDown: -25 }[event.key];
  if (!step) return;
  event.preventDefault();
  moved(at + step);
});
chosen.addEventListener("change", () => show());
for (const id of ["cost-error", "cost-look"]) $(id).addEventListener("input", () => show());
for (const button of document.querySelectorAll("[data-at]")) button.addEventListener("click", () => moved(Number(button.dataset.at)));
$("to-cheapest").addEventListener("click", () => { const best = cheapest(shown()); if (best >= 0) moved(best); });
details.addEventListener("toggle", showLabels);
if ($("copy")) $("copy").addEventListener("click", async () => {
  const words = $("command").textContent;
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    const range = document.createRange();
    range.selectNodeContents($("command"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
  }
  put("copied", say.copied);
});
$("controls").hidden = false;
moved(data.start);
})();
