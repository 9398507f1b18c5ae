// CSV and TSV as a table: the delimiter is the commonest of the header, cells in quotes may hold anything (RFC 4180).
const tableOf = (written) => {
  const text = written.replace(/^\ufeff/, "");
  const named = /^"?sep=([^"\r\n])"?(?:\r\n|\n|\r)/i.exec(text);  // Excel's line that names the delimiter
  const body = named ? text.slice(named[0].length) : text;
  const head = /^(?:"(?:[^"]|"")*"|[^"\r\n])*/.exec(body)[0].replace(/"(?:[^"]|"")*"/g, "");
  const times = (one) => head.split(one).length;
  const delimiter = named ? named[1] : [",", ";", "\t"].reduce((best, one) => times(one) > times(best) ? one : best);
  const rows = [];
  let row = [], cell = "", quoted = false, at = 0;
  const end = () => { row.push(cell); cell = ""; };
  const close = () => { end(); if (row.length > 1 || row[0] !== "") rows.push(row); row = []; };
  for (; at < body.length; at++) {
    const c = body[at];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (body[at + 1] === '"') { cell += c; at++; }
      else quoted = false;
    } else if (c === '"' && cell === "") quoted = true;
    else if (c === delimiter) end();
    else if (c === "\n" || c === "\r") { if (c === "\r" && body[at + 1] === "\n") at++; close(); }
    else cell += c;
  }
  if (cell !== "" || row.length) close();
  return { columns: rows[0] || [], rows: rows.slice(1) };
};
// The column that is likely the texts: by its name, else the one with the longest cells.
const textColumn = ({ columns, rows }) => {
  const known = columns.findIndex((name) => /^(text|texts|message|utterance|sentence|body|content|metin|mesaj|cümle)$/i.test(name.trim()));
  if (known >= 0) return known;
  const size = (i) => rows.slice(0, 50).reduce((sum, row) => sum + (row[i] || "").length, 0);
  return columns.reduce((best, _, i) => size(i) > size(best) ? i : best, 0);
};
