"use strict";
const find = (id) => document.getElementById(id);
const [form, query] = ["filter", "query"].map(find);
const groups = [...document.querySelectorAll("tbody")];

function narrow() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = [...form.querySelectorAll("select")].filter((one) => one.value);
  let shown = 0;
  for (const group of groups) {
    let here = 0;
    for (const row of group.querySelectorAll("tr.paper")) {
      const fits = chosen.every((one) => row.dataset[one.id] === one.value)
        && words.every((word) => row.dataset.words.includes(word));
      row.hidden = !fits;
      here += fits;
    }
    group.hidden = !here;
    shown += here;
  }
  find("found").textContent = shown === 1 ? "1 paper" : `${shown.toLocaleString("en")} papers`;
  find("nothing").hidden = shown > 0;
}

if (groups.length) {
  form.hidden = false;
  form.addEventListener("input", narrow);
  form.addEventListener("submit", (event) => event.preventDefault());
  find("clear").addEventListener("click", () => {
    form.reset();
    narrow();
    query.focus();
  });
  addEventListener("pageshow", narrow);
}
