"use strict";
// What the scripts of all pages share: the data of the page, and numbers in its language.
const page = (() => {
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const say = data.words;

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, say.thousands);
// Half to even, as the words around are rounded; only a multiple of a power of 1/2 can lie in the middle.
const rounded = (value, digits) => {
  const low = Math.floor(value * 10 ** digits);
  const even = (value * 2 ** (digits + 1)) % 1 === 0 && value * 10 ** digits - low === 0.5 && low % 2 === 0;
  return (even ? low / 10 ** digits : value).toFixed(digits);
};
const number = (value, digits) => {
  if (value === Infinity) return say.infinite;
  if (value === -Infinity) return say.minus_infinite;
  if (!Number.isFinite(value)) return say.none;
  const [whole, part] = rounded(Math.abs(value), digits).split(".");
  return (value < 0 ? "-" : "") + grouped(whole) + (part ? say.decimal + part : "");
};
const share = (value, digits = 1) => Number.isFinite(value) ? say.percent.replace("{number}", number(100 * value, digits)) : say.none;
const fill = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const read = (words) => {
  const written = words.trim().replace(/\s/g, "").replace(say.decimal, ".");
  if (written === "") return NaN;
  return /^[-−]?(inf|∞)/i.test(written) ? (/^[-−]/.test(written) ? -Infinity : Infinity) : Number(written);
};
return { data, $, say, number, share, fill, read };
})();
