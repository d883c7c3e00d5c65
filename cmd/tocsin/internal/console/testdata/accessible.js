// Returns what on the page somebody could not see, reach or understand (WCAG 2.2 AA, as far
// as a program can tell).
(() => {
  const faults = [];
  const shown = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".visually-hidden");
  const all = (s) => [...document.querySelectorAll(s)];
  const tell = (e) => e.outerHTML.slice(0, 120);
  if (!document.documentElement.lang) faults.push("the page has no language");
  if (!document.title.trim()) faults.push("the page has no title");
  const h1 = all("h1").length;
  if (h1 !== 1) faults.push(h1 ? "more than one h1" : "no h1");
  if (all("main").length !== 1) faults.push("not one main");
  let level = 0;
  for (const h of all("h1,h2,h3,h4,h5,h6")) {
    const now = Number(h.tagName[1]);
    if (level && now > level + 1) faults.push(`heading h${now} follows h${level}: ${tell(h)}`);
    level = now;
  }
  const ids = new Set();
  for (const e of all("[id]")) {
    if (ids.has(e.id)) faults.push(`id ${e.id} is twice`);
    ids.add(e.id);
  }
  for (const e of all("[aria-describedby],[aria-labelledby]")) {
    for (const a of ["aria-describedby", "aria-labelledby"]) {
      for (const id of (e.getAttribute(a) || "").split(" ").filter(Boolean)) {
        if (!ids.has(id)) faults.push(`${a} names ${id}, which is not there`);
      }
    }
  }
  const named = (e) => (e.getAttribute("aria-label") || e.textContent || "").trim() || e.querySelector("img[alt]:not([alt='']),svg title") ||
    (e.getAttribute("aria-labelledby") || "").split(" ").some((id) => document.getElementById(id)?.textContent.trim());
  for (const e of all("a,button,summary,[role=region]")) if (!named(e)) faults.push(`has no name: ${tell(e)}`);
  for (const e of all("img")) if (!e.hasAttribute("alt")) faults.push(`has no alt: ${tell(e)}`);
  for (const e of all("svg:not([aria-hidden=true])")) {
    if (e.closest("svg svg")) continue;
    if (e.getAttribute("role") !== "img" || !named(e)) faults.push(`a picture has no name: ${tell(e)}`);
  }
  for (const e of all("input:not([type=hidden]),select,textarea")) {
    if (!e.labels?.length && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby")) faults.push(`a field has no label: ${tell(e)}`);
  }
  for (const e of all("table")) {
    if (!e.caption?.textContent.trim()) faults.push(`has no caption: ${tell(e)}`);
    for (const th of e.querySelectorAll("th")) if (!th.scope) faults.push(`th without scope: ${tell(th)}`);
  }
  for (const e of all("[tabindex]")) if (e.tabIndex > 0) faults.push(`a positive tabindex: ${tell(e)}`);
  for (const e of all("*")) {
    const s = getComputedStyle(e);
    if (e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(s.overflowX) && e.clientWidth && shown(e) && e.tabIndex < 0 && !e.querySelector("a,button,input,summary")) {
      faults.push(`scrolls, and not by keyboard: ${tell(e)}`);
    }
  }
  if (document.documentElement.scrollWidth > window.innerWidth + 1) {
    faults.push(`the page is wider than the window: ${document.documentElement.scrollWidth} of ${window.innerWidth}`);
  }
  const numbers = (c) => {
    const m = c.match(/[\d.]+/g).map(Number);
    return m.length < 4 ? [...m, 1] : m;
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c[3] > 0.99) return c;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (seen.has(e) || !walker.currentNode.textContent.trim() || !shown(e) || e.closest("svg,.skip,:disabled")) continue;
    seen.add(e);
    const s = getComputedStyle(e);
    const [a, b] = [light(numbers(s.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(s.fontSize) >= 24 || (parseFloat(s.fontSize) >= 18.66 && Number(s.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.push(`contrast ${ratio.toFixed(2)}: ${tell(e)}`);
  }
  return faults;
})()
