(() => {
const { data, $, say, number, share, fill, read } = page;
const SVG = $("drawing").namespaceURI, LANGUAGE = document.documentElement.lang;
const AT_ONCE = 64, LIST = 100, TOP = 6, PULLS = 5, TRIES = 6, LARGEST = 50e6, PAUSE = 200;

// What is known: of the model, of the texts and their answers. The key is nowhere else.
let key = "", model = null, certificate = null, table = null, own = null;
let texts = [], answers = [], listed = LIST, asking = null, later = 0;
const opened = new Set(), pulls = new Map(), whole = new Map();

const apart = (words) => "\u2068" + words + "\u2069";  // a label in Arabic does not turn the words around it
const shown = (id, is) => { $(id).hidden = !is; };
const put = (id, words) => { $(id).textContent = words; };
const make = (name, kind, words) => {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (words !== undefined) made.textContent = words;
  return made;
};
const label = (words) => {  // a long name may break after its marks
  const made = make("bdi");
  made.dir = "auto";
  for (const part of words.split(/(?<=[_./:-])/)) made.append(part, make("wbr"));
  return made;
};
const tell = (words) => { put("wrong", words); shown("wrong", words !== ""); };

// Ask the server; a full one is asked again when it says so.
const rest = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, 1000 * seconds);
  signal.addEventListener("abort", () => { clearTimeout(timer); reject(new DOMException("", "AbortError")); });
});
async function ask(path, body, signal) {
  for (let tries = 1; ; tries++) {
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    if (body) headers["content-type"] = "application/json";
    const how = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal };
    const reply = await fetch(path, { ...how, credentials: "omit", cache: "no-store", redirect: "error" });
    const found = await reply.json();
    if (reply.ok) return found;
    const seconds = Math.min(Number(reply.headers.get("retry-after")) || 1, 10);
    if (![429, 503].includes(reply.status) || found.code === "draining" || tries === TRIES) throw found;
    put("status", found.code === "not_ready" ? say.error_not_ready : fill(say.waiting, { seconds }));
    await rest(seconds, signal);
  }
}
const problem = (found) => {
  if (!found.code) return found instanceof TypeError || found instanceof SyntaxError ? say.error_reach : String(found);
  const words = say[`error_${found.code}`] || say.error_other, limits = model ? model.limits : {};
  const most = found.code === "body_large" ? limits.body_bytes : limits.characters;
  return fill(words, { ...found, most: most ? number(most, 0) : "" });
};
const failed = (found) => {
  if (found.name === "AbortError") return;
  put("status", "");
  if (found.status === 401) askKey(found.code === "key_wrong"); else tell(problem(found));
};
const askKey = (isWrong) => {
  shown("key", true);
  put("promise", "");
  put("key-wrong", isWrong ? say.key_wrong : "");
  $("key-field").focus();
};

// The model, its promise and its threshold.
async function meet() {
  const signal = new AbortController().signal;
  try {
    model = await ask("/v1/model", null, signal);
    certificate = await ask(`/v1/certificate?language=${LANGUAGE}`, null, signal);
  } catch (found) {
    if (found.status !== 401) put("promise", "");
    shown("desk", found.status !== 401);
    return failed(found);
  }
  shown("key", false);
  shown("docs", !key);  // a browser sends no key with a link
  shown("desk", true);
  put("name", model.name);
  put("subtitle", fill(say.subtitle, { labels: number(model.labels.length, 0), other: apart(model.other) }));
  promise(certificate.promise);
  put("status", say.no_answers);
  shown("movable", data.shares.includes(model.score));
  aim(null);
  return undefined;
}
const promise = (made) => {
  const short = !made ? say.no_promise : made.certified ? say.promise_short : say.promise_none;
  put("promise", made ? fill(short, { target: share(Math.floor(1000 * made.target_accuracy + 1e-9) / 1000).replace(`${say.decimal}0`, ""), other: apart(model.other) }) : short);
  put("whole-promise", made ? made.sentence : "");
  shown("promised", made !== null);
};
const standing = () => {
  if (!data.shares.includes(model.score)) return fill(say.not_movable, { score: model.score });
  if (own !== null) return fill(say.at_own, { threshold: number(own, 3) });
  if (model.threshold === null) return say.at_each_label;
  if (model.threshold === "inf") return say.at_nothing;
  if (model.threshold === "-inf") return say.at_everything;
  return fill(model.certificate ? say.at_certified : say.at_served, { threshold: number(model.threshold, 3) });
};
function aim(threshold, typed) {
  own = threshold;
  const at = own === null ? model.threshold : own, is = Number.isFinite(at);
  $("slider").value = is ? at : at === "-inf" ? 0 : 1;
  $("slider").setAttribute("aria-valuetext", is ? number(at, 3) : standing());
  if (!typed) $("number").value = is ? number(at, 3) : "";
  $("number").setAttribute("aria-invalid", "false");
  put("standing", standing());
  $("standing").className = own === null ? "small" : "small warn";
  $("as-served").disabled = own === null;
}
const moved = (threshold, typed) => {
  aim(threshold, typed);
  if (!texts.length) return;
  clearTimeout(later);
  $("list").classList.add("busy");
  later = setTimeout(decide, PAUSE);
};

// Texts: what is typed, or a column of a file. Halves of surrogate pairs cannot be sent, and nothing reads them.
const whole16 = (text) => text.replace(/[\ud800-\udfff]/gu, "\ufffd");
const typed = () => {
  const words = $("texts").value;
  return ($("lines").checked ? words.split(/\r\n|\n|\r/) : [words]).filter((text) => text.trim() !== "");
};
const given = () => (table ? table.rows.map((row) => row[$("column").value] || "") : typed()).map(whole16);
const parts = () => {
  const made = [[]], size = (text) => new TextEncoder().encode(JSON.stringify(text)).length + 1;
  let bytes = 0;
  texts.forEach((text, at) => {
    if (answers[at]) return;
    if (made.at(-1).length === Math.min(AT_ONCE, model.limits.texts) || bytes + size(text) > model.limits.body_bytes - 500) {
      made.push([]);
      bytes = 0;
    }
    made.at(-1).push(at);
    bytes += size(text);
  });
  return made.filter((part) => part.length);
};
async function decide(words = "") {
  if (asking) asking.abort();
  const mine = asking = new AbortController(), options = { top: Math.min(TOP, model.labels.length), sentences: LANGUAGE };
  const most = model.limits.characters, found = texts.map((text) => [...text].length > most ? { problem: { code: "text_long" } } : null);
  if (own !== null) options.threshold = own;
  tell("");
  answers = found;
  const models = new Set();  // a swap may come between two parts
  let done = 0;
  try {
    for (const part of parts()) {
      put("status", texts.length > AT_ONCE ? fill(say.asking, { done: number(done, 0), texts: number(texts.length, 0) }) : "…");
      const body = { ...options, texts: part.map((at) => texts[at]) };
      const said = await ask("/v1/decide", body, mine.signal);
      part.forEach((at, i) => { found[at] = said.answers[i]; });
      done += part.length;
      models.add(said.model);
      whole.clear();
      show();
    }
    put("status", words);
    if ([...models].some((one) => one !== model.model)) {
      const at = own;
      pulls.clear();
      await meet();
      aim(at);
      put("status", say.swapped);
      if (models.size > 1) return decide(say.swapped);
    }
  } catch (error) {
    failed(error);
  }
  if (asking === mine) asking = null;
  show();
  return undefined;
}
const begin = () => {
  texts = given();
  opened.clear();
  pulls.clear();
  whole.clear();
  listed = LIST;
  $("filter").value = "all";
  if (texts.length) return decide();
  answers = [];
  show();
  put("status", say.no_text);
  $("texts").focus();
  return undefined;
};

// A file.
async function openFile(file) {
  const note = (words) => { put("file-note", words); shown("file-note", words !== ""); };
  note("");
  if (file.size > LARGEST) return note(say.file_large);
  let words;
  try {
    words = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    return note(say.file_encoding);
  }
  const found = tableOf(words);
  if (!found.rows.length) return note(say.file_empty);
  const rows = found.rows.length;
  table = { ...found, rows: found.rows.slice(0, data.rows) };
  put("file-is", fill(say.file_is, { name: apart(file.name), rows: number(rows, 0) }));
  if (rows > data.rows) note(fill(say.file_first, { most: number(data.rows, 0) }));
  $("column").replaceChildren(...found.columns.map((name, i) => new Option(name, i)));
  $("column").value = textColumn(found);
  fromFile(true);
  return begin();
}
const fromFile = (is) => {
  shown("from-file", is);
  shown("remove", is);
  shown("typed", !is);
};

// Bars: names, shares of 1, and the threshold through all of them.
const svg = (name, values) => {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(values)) made.setAttribute(attribute, value);
  return made;
};
const percent = (value) => `${(100 * value).toFixed(2)}%`;
const strip = (from, to, kind) => svg("rect", { x: percent(from), width: percent(to - from), y: "50%", height: 10, transform: "translate(0 -5)", class: kind });
const stroke = (at, kind) => svg("line", { x1: percent(at), x2: percent(at), y1: 0, y2: "100%", class: kind });
const bar = (name, value, drawn, kind) => {
  const made = make("li", kind), room = make("span", "room"), picture = svg("svg", { "aria-hidden": "true" });
  picture.append(...drawn);
  room.append(picture);
  made.append(name, room, make("span", "num", value));
  return made;
};
const mark = (at) => at === null || at === undefined ? [] : [stroke(at, own === null ? "mark" : "mark own")];
const shareBar = (name, p, at, kind) => bar(label(name), number(p, 3), [strip(0, 1, "back"), strip(0, Math.max(0, p), "fill"), ...mark(at)], kind);

function labelBars(answer, ranked) {
  const made = make("ul", "bars"), isShare = model.score === "maximum_probability";
  made.setAttribute("aria-label", say.bars);
  if (!isShare && data.shares.includes(model.score) && answer.confidence !== null) {
    made.append(shareBar(say.confidence_bar, answer.confidence, answer.threshold, "best"));
  }
  made.append(...ranked.map((one, i) => shareBar(one.label, one.probability, isShare ? answer.threshold : null, i ? "" : "best")));
  return made;
}
const keyOf = (answer) => {
  const made = make("ul", "key"), item = make("li"), line = svg("svg", { width: 12, height: 14, "aria-hidden": "true" });
  if (answer.threshold === null || !data.shares.includes(model.score)) return made;
  line.append(svg("line", { x1: 6, x2: 6, y1: 0, y2: 14, class: own === null ? "mark" : "mark own" }));
  item.append(line, " " + fill(own === null ? say.at_threshold : say.at_own_threshold, { threshold: number(answer.threshold, 3) }));
  made.append(item);
  return made;
};

// One answer, with all that is said of it.
function inside(at) {
  const answer = answers[at], made = make("div", "inside");
  const text = make("p", "text", texts[at]);
  text.dir = "auto";
  if (texts.length > 1 || table) made.append(text);
  if (answer.problem) {
    made.append(make("p", "warn", problem(answer.problem)));
    return made;
  }
  if (texts.length === 1) made.append(said(answer, "p"));
  made.append(make("p", "", answer.sentence));
  if (answer.truncated) made.append(make("p", "small", say.truncated));
  if (answer.confidence === null && answer.top.length) made.append(make("p", "small", say.barred));
  if (answer.top.length) {
    const ranked = whole.get(at) || answer.top, buttons = make("div", "buttons");
    made.append(labelBars(answer, ranked), keyOf(answer), buttons);
    if (ranked.length < model.labels.length) buttons.append(button(fill(say.all_labels, { labels: number(model.labels.length, 0) }), () => widen(at)));
    if (!pulls.has(at)) buttons.append(button(say.why, (one) => explain(at, one)));
    else made.append(pulled(at));
  }
  return made;
}
const button = (words, act) => {
  const made = make("button", "", words);
  made.type = "button";
  made.addEventListener("click", () => act(made));
  return made;
};
const said = (answer, name) => {
  const made = make(name, "said");
  if (answer.problem) made.textContent = say.not_decided;
  else made.append(label(answer.label));
  return made;
};
async function widen(at) {
  const options = { text: texts[at], top: model.labels.length };
  try {
    const found = await ask("/v1/decide", own === null ? options : { ...options, threshold: own }, new AbortController().signal);
    whole.set(at, found.answers[0].top);
    again(at);
  } catch (error) {
    failed(error);
  }
}

// The words that pulled.
async function explain(at, one) {
  const most = model.limits.explained_characters, text = texts[at];
  if ([...text].length > most) return tell(fill(say.why_long, { most: number(most, 0) }));
  if (one.getAttribute("aria-disabled")) return undefined;
  one.setAttribute("aria-disabled", "true");  // a disabled button would lose the keyboard
  put("status", say.why_asking);
  try {
    const found = await ask("/v1/explain", { text, language: LANGUAGE }, new AbortController().signal);
    put("status", "");
    if (texts[at] !== text) return undefined;
    pulls.set(at, found);
    again(at);
  } catch (error) {
    one.removeAttribute("aria-disabled");
    failed(error);
  }
  return undefined;
}
function pulled(at) {
  const found = pulls.get(at), made = make("div"), letters = [...texts[at]], extent = found.extent;
  const title = make("h3"), [before, after] = say.pulls.split("{label}");
  title.append(before, label(Object.keys(found.probabilities)[0]), after);
  made.append(title);
  const least = Math.max(...found.words.map((word) => Math.abs(word.pull)), 0);
  if (!(least > 0)) return made.append(make("p", "small", say.pulls_none)), made;
  made.append(make("p", "small", say.pulls_intro), marked(letters, found.words, least));
  const towards = found.words.filter((word) => word.pull > 0).slice(0, PULLS);
  const against = found.words.filter((word) => word.pull < 0).slice(-PULLS), list = make("ul", "bars");
  const zero = against.length ? towards.length ? 0.5 : 1 : 0, room = Math.max(zero, 1 - zero);
  for (const word of [...towards, ...against]) {
    const end = zero + word.pull / least * (zero === 0.5 ? 0.5 : room), sign = word.pull > 0 ? "+" : "";
    const drawn = [strip(Math.min(zero, end), Math.max(zero, end), `fill ${word.pull > 0 ? "towards" : "against"}`), stroke(zero, "zero")];
    list.append(bar(label(word.words), (sign + number(word.pull, 2)).replace("-", "−"), drawn, ""));
  }
  made.append(list);
  const notes = [];
  if (found.words.some((word) => /\s/.test(word.words))) notes.push(say.pulls_grouped);
  if (extent && extent.truncated) notes.push(fill(say.pulls_cut, { read: number(extent.characters_read, 0), characters: number(extent.characters, 0) }));
  if (extent && extent.unknown.length) notes.push(fill(say.pulls_unknown, { pieces: [...new Set(extent.unknown)].slice(0, 8).map(apart).join(", ") }));
  if (found.nearest.length) notes.push(fill(say.nearest, { labels: found.nearest.map(apart).join(", ") }));
  made.append(...notes.map((words) => make("p", "small", words)));
  return made;
}
const marked = (letters, words, least) => {
  const made = make("p", "pulled");
  let at = 0;
  made.dir = "auto";
  for (const word of [...words].sort((a, b) => a.start - b.start)) {
    const part = Math.abs(word.pull) / least, step = part >= 0.6 ? 3 : part >= 0.3 ? 2 : part >= 0.1 ? 1 : 0;
    made.append(letters.slice(at, word.start).join(""));
    made.append(make("mark", step ? (word.pull > 0 ? "for" : "against") + step : "", letters.slice(word.start, word.end).join("")));
    at = word.end;
  }
  made.append(letters.slice(at).join(""));
  return made;
};

// All answers.
const isOther = (answer) => answer && !answer.problem && answer.abstained;
const isAnswered = (answer) => answer && !answer.problem && !answer.abstained;
const kept = { all: (answer) => answer, answered: isAnswered, other: isOther };
const kindOf = (answer) => answer.problem || answer.abstained ? "answer other" : "answer";

function item(at) {
  const answer = answers[at], made = make("li", kindOf(answer));
  made.dataset.at = at;
  if (texts.length === 1) return made.append(inside(at)), made;
  const details = make("details"), summary = make("summary"), line = make("span", "line-of", texts[at].trim().slice(0, 300));
  line.dir = "auto";
  summary.append(said(answer, "span"), line, make("span", "num", Number.isFinite(answer.probability) ? number(answer.probability, 3) : say.none));
  details.append(summary);
  details.open = opened.has(at);
  if (details.open) details.append(inside(at));
  details.addEventListener("toggle", () => {
    opened[details.open ? "add" : "delete"](at);
    if (details.open && !details.querySelector(".inside")) details.append(inside(at));
  });
  made.append(details);
  return made;
}
const again = (at) => {  // draw one answer again; the keyboard stays where it was
  const old = $("list").querySelector(`[data-at="${at}"]`);
  if (!old) return;
  const inOld = old.contains(document.activeElement), made = item(at);
  old.replaceWith(made);
  if (!inOld) return;
  const next = made.querySelector("summary") || made.querySelector("h3") || made;
  if (next.localName !== "summary") next.tabIndex = -1;
  next.focus({ preventScroll: true });
};
function show() {
  const places = texts.map((_, at) => at).filter((at) => kept[$("filter").value](answers[at])), list = $("list");
  list.classList.remove("busy");
  list.classList.toggle("one", texts.length === 1);
  list.replaceChildren(...places.slice(0, listed).map(item));
  shown("more", places.length > listed);
  put("more", fill(say.more, { n: number(Math.min(LIST, places.length - listed), 0) }));
  shown("whole", texts.length > 1);
  if (texts.length > 1) summarise();
}
function summarise() {
  const answered = answers.filter(isAnswered), left = answers.filter(isOther).length, wrong = answers.filter((one) => one && one.problem).length;
  const other = apart(model.other), count = (n) => number(n, 0);
  const words = fill(say.summary, { answered: count(answered.length), texts: count(texts.length), share: share(answered.length / texts.length), left: count(left), other });
  put("summary", wrong ? `${words}; ${fill(say.summary_failed, { failed: count(wrong) })}` : words);
  const chosen = $("filter").value, names = { all: say.show_all, answered: fill(say.show_answered, { n: count(answered.length) }), other: fill(say.show_other, { n: count(left), other }) };
  $("filter").replaceChildren(...Object.entries(names).map(([name, shownAs]) => new Option(shownAs, name)));
  $("filter").value = chosen || "all";
  const mix = new Map();
  for (const answer of answered) mix.set(answer.label, (mix.get(answer.label) || 0) + 1);
  const rows = [...mix].sort(([, a], [, b]) => b - a), most = rows.length ? rows[0][1] : 1;
  $("mix-bars").replaceChildren(...rows.map(([name, n]) => bar(label(name), count(n), [strip(0, 1, "back"), strip(0, n / most, "fill")], "best")));
}

$("filter").replaceChildren(new Option("", "all"));
$("decide").addEventListener("click", begin);
$("texts").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  begin();
});
$("slider").addEventListener("input", () => moved(Number($("slider").value)));
$("number").addEventListener("input", () => {
  const value = read($("number").value), is = value >= 0 && value <= 1;
  if (is) moved(value, true);
  $("number").setAttribute("aria-invalid", String(!is));
});
$("number").addEventListener("change", () => aim(own));
$("as-served").addEventListener("click", () => { moved(null); $("slider").focus(); });
$("filter").addEventListener("change", () => { listed = LIST; show(); });
$("more").addEventListener("click", () => { listed += LIST; show(); });
$("open").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", async () => {
  const [file] = $("file").files;
  if (file) await openFile(file);
  $("file").value = "";  // the same file can be opened again
});
$("column").addEventListener("change", begin);
$("remove").addEventListener("click", () => {
  table = null;
  $("file").value = "";
  shown("file-note", false);
  fromFile(false);
  texts = answers = [];
  show();
  put("status", say.no_answers);
  $("texts").focus();
});
document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file && model) openFile(file);
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key-field").value.trim();
  $("key-field").value = "";
  if (/^[\x21-\x7e]+$/.test(key)) meet(); else askKey(true);
});
meet();
})();
