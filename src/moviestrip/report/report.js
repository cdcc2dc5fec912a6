"use strict";
// Sorting of tables, filters, playing of the strips, and what else needs a script. The page reads without any of it.

const quiet = matchMedia("(prefers-reduced-motion: reduce)");

function columnHeads(table) {
  // Heads that stand for exactly one column, with that column's position; heads may span rows and columns.
  const rows = [...table.tHead.rows];
  const taken = rows.map(() => []);
  const heads = [];
  rows.forEach((row, y) => {
    let x = 0;
    for (const cell of row.cells) {
      while (taken[y][x]) x++;
      for (let j = y; j < Math.min(rows.length, y + cell.rowSpan); j++)
        for (let i = x; i < x + cell.colSpan; i++) taken[j][i] = true;
      if (cell.colSpan === 1 && y + cell.rowSpan >= rows.length) heads.push({ cell, column: x });
      x += cell.colSpan;
    }
  });
  return heads;
}

function cellAt(row, column) {
  let x = 0;
  for (const cell of row.cells) {
    if (column < x + cell.colSpan) return cell;
    x += cell.colSpan;
  }
  return null;
}

function valueOf(row, column, part) {
  const cell = cellAt(row, column);
  if (!cell) return "";
  const shown = part ? cell.querySelector(part) : cell;
  const text = (cell.dataset.value ?? shown?.textContent ?? "").trim();
  if (/^[–—-]?$/.test(text)) return ""; // nothing to sort by
  const number = text.replace(/,/g, "").match(/^[-+−]?\d+(\.\d+)?/);
  return number ? Number(number[0].replace("−", "-")) : text;
}

function inOrder(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a.localeCompare(b, "en", { numeric: true });
}

function sortBody(body, column, direction) {
  body.originalRows ??= [...body.rows];
  // A column with any number of ours sorts by ours, otherwise by the printed ones: never by a mixture.
  const part = [".ours", ".printed"].find((name) => body.originalRows.some((row) => cellAt(row, column)?.querySelector(name)));
  const value = (row) => valueOf(row, column, part);
  let group = [];
  const sorted = [];
  const flush = () => {
    if (direction) {
      const filled = group.filter((row) => value(row) !== "");
      const blank = group.filter((row) => !filled.includes(row));
      filled.sort((a, b) => direction * inOrder(value(a), value(b)));
      group = [...filled, ...blank];
    }
    sorted.push(...group);
    group = [];
  };
  for (const row of body.originalRows) {
    const isDivider = row.cells.length === 1;
    if (isDivider) {
      flush();
      sorted.push(row);
    } else group.push(row);
  }
  flush();
  body.append(...sorted);
}

for (const table of document.querySelectorAll(".table-card table, table.sortable")) {
  if (!table.tHead) continue;
  const heads = columnHeads(table);
  for (const { cell, column } of heads) {
    if (cell.classList.contains("unsorted")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.title = "Sort";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => {
      const before = cell.getAttribute("aria-sort");
      for (const head of heads) head.cell.removeAttribute("aria-sort");
      const next = before === null ? "ascending" : before === "ascending" ? "descending" : null;
      if (next) cell.setAttribute("aria-sort", next);
      const direction = next === null ? 0 : next === "ascending" ? 1 : -1;
      for (const body of table.tBodies) sortBody(body, column, direction);
    });
  }
}

// A filtered block shows the rows that all its groups of buttons and its search let through.
for (const block of document.querySelectorAll(".filtered")) {
  const rows = [...block.querySelectorAll("tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const groups = [...block.querySelectorAll(".filters")];
  const search = block.querySelector('input[type="search"]');
  const found = block.querySelector(".found");
  const wanted = {};
  block.querySelector(".controls").hidden = false;

  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, index) => {
      const passes = Object.entries(wanted).every(([key, value]) => !value || row.dataset[key] === value);
      row.hidden = !(passes && words.every((word) => texts[index].includes(word)));
      count += !row.hidden;
    });
    found.textContent = count === rows.length ? "" : `${count} of ${rows.length} ${block.dataset.noun} shown`;
  };
  const choose = (group, value) => {
    wanted[group.dataset.key] = value;
    for (const button of group.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.dataset.value === value));
  };
  for (const group of groups)
    for (const button of group.querySelectorAll("button"))
      button.addEventListener("click", () => {
        choose(group, button.dataset.value);
        show();
      });
  search.addEventListener("input", show);
  block.showOnly = (key, value) => {
    for (const group of groups) choose(group, group.dataset.key === key ? value : "");
    search.value = "";
    show();
  };
}

for (const link of document.querySelectorAll("a[data-filter]")) {
  const [key, value] = link.dataset.filter.split("=");
  link.addEventListener("click", () => document.querySelector(`${link.hash} .filtered`)?.showOnly(key, value));
}

// What is wider than its frame says so: it fades where more is, and a line below tells that it scrolls.
for (const frame of document.querySelectorAll(".scroll, .contents ul, pre")) {
  const hint = document.createElement("p");
  hint.className = "scrolls";
  hint.setAttribute("aria-hidden", "true");
  hint.textContent = "scrolls sideways →";
  if (frame.matches(".scroll")) frame.after(hint);
  const look = () => {
    const room = frame.scrollWidth - frame.clientWidth;
    const before = frame.scrollLeft > 2;
    const after = frame.scrollLeft < room - 2;
    frame.dataset.more = room > 2 ? [before && "before", after && "after"].filter(Boolean).join(" ") : "";
    hint.hidden = room <= 2;
  };
  frame.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(frame);
}

function play(video) {
  video.play().catch((error) => {
    if (error.name !== "AbortError") throw error; // paused again before it started
  });
}

for (const video of document.querySelectorAll(".strip video")) {
  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.className = "toggle";
  toggle.setAttribute("aria-label", `Play: ${video.getAttribute("aria-label")}`);
  toggle.setAttribute("aria-pressed", "false");
  video.removeAttribute("controls");
  video.after(toggle);
  let pinned = false;
  toggle.addEventListener("click", () => {
    pinned = video.paused || !pinned;
    pinned ? play(video) : video.pause();
  });
  toggle.addEventListener("focus", () => toggle.matches(":focus-visible") && !quiet.matches && play(video));
  toggle.addEventListener("blur", () => pinned || video.pause());
  video.parentElement.addEventListener("mouseenter", () => quiet.matches || play(video));
  video.parentElement.addEventListener("mouseleave", () => pinned || video.pause());
  video.addEventListener("play", () => toggle.setAttribute("aria-pressed", "true"));
  video.addEventListener("pause", () => toggle.setAttribute("aria-pressed", "false"));
  video.addEventListener("unpin", () => (pinned = false));
  video.addEventListener("pin", () => (pinned = true));
}

for (const button of document.querySelectorAll(".together")) {
  button.hidden = false;
  button.setAttribute("aria-pressed", "false");
  const videos = [...button.closest(".group").querySelectorAll("video")];
  button.addEventListener("click", () => {
    const start = button.getAttribute("aria-pressed") === "false";
    button.setAttribute("aria-pressed", String(start));
    button.textContent = start ? "pause all" : "play all";
    for (const video of videos) {
      video.dispatchEvent(new Event(start ? "pin" : "unpin"));
      if (start) {
        video.currentTime = 0;
        play(video);
      } else video.pause();
    }
  });
}

const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
const spy = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  },
  { rootMargin: "-20% 0px -70% 0px" },
);
for (const section of document.querySelectorAll("main > section")) spy.observe(section);

// A link into what is folded or filtered away brings it out first.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let panel = target.closest("details"); panel; panel = panel.parentElement.closest("details")) panel.open = true;
  if (target.matches("tr[hidden]")) target.closest(".filtered")?.showOnly("", "");
  if (target.matches("td, tr")) target.scrollIntoView({ block: "center", inline: "center" });
}
addEventListener("hashchange", reveal);
if (location.hash) reveal();

// Paper shows everything that the screen folds, and the screen is afterwards as it was.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const panel of folded) panel.open = true;
});
addEventListener("afterprint", () => {
  for (const panel of folded) panel.open = false;
});
