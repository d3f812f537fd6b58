// New mail appears by itself, without a reload that would take away focus and scroll position.
const PAUSE_MS = 3000;
let tag = null;

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.ok) show(await answer.text(), answer.headers.get("ETag"));
    } catch {
      // The mailbox is being restarted; it is asked again.
    }
  }
  setTimeout(look, PAUSE_MS);
}

function show(html, seen) {
  const known = tag !== null;
  tag = seen;
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const focused = document.activeElement?.getAttribute("href");
  const [oldList, newList] = [document.querySelector("#main"), fresh.querySelector("#main")];
  if (!known && oldList.textContent === newList.textContent) return;
  const [count, newCount] = [document.querySelector("#count"), fresh.querySelector("#count")];
  // The count stays the same element, so that a screen reader announces its new words.
  if (count.textContent !== newCount.textContent) count.textContent = newCount.textContent;
  const heading = count.closest("h1");
  while (heading.nextSibling) heading.nextSibling.remove();
  const rest = newCount.closest("h1");
  while (rest.nextSibling) oldList.append(rest.nextSibling);
  document.title = fresh.title;
  if (focused) document.querySelector(`#main a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

look();
