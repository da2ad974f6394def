/**
 * What runs in the browser: new requests appear, and what has changed is shown. Everything is readable without it. As text, since the program
 * ships what the compiler makes of TypeScript for Node, which knows no `document`.
 */
export const pageScript = String.raw`'use strict'
const state = document.getElementById('live-state')
const show = (text) => { if (state.textContent !== text) state.textContent = text }

// What has changed on the server, unless the reader is at work in it.
async function refresh() {
  if (document.hidden || document.querySelector('[data-live]') === null) return
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' } })
    if (!answer.ok) throw new Error(String(answer.status))
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html')
    for (const old of document.querySelectorAll('[data-live]')) {
      const now = fresh.querySelector('[data-live="' + old.dataset.live + '"]')
      const isInUse = old.contains(document.activeElement) || old.contains(getSelection().anchorNode) && !getSelection().isCollapsed
      if (now === null || isInUse) continue
      for (const one of old.querySelectorAll('details[open]')) now.querySelector('#' + one.id)?.setAttribute('open', '')
      if (now.innerHTML !== old.innerHTML) old.replaceChildren(...now.childNodes)
    }
    show('Live: ' + (document.querySelector('.verdict .badge')?.textContent ?? 'connected'))
  } catch {
    show('Connection lost: is "overlapd ui" still running?')
  }
}
setInterval(refresh, 5000)
document.addEventListener('visibilitychange', refresh)

// New requests, the latest first.
const most = 50
for (const list of document.querySelectorAll('[data-stream]')) {
  const live = list.closest('.live')
  const pause = live.querySelector('[data-pause]')
  const rate = live.querySelector('[data-rate]')
  let waiting = []
  let seen = 0
  pause.hidden = false
  pause.addEventListener('click', () => {
    const isPaused = pause.getAttribute('aria-pressed') !== 'true'
    pause.setAttribute('aria-pressed', String(isPaused))
  })
  let missed = 0
  let events
  // A browser holds few connections to one host: views that are not shown take none.
  const watch = () => {
    events?.close()
    if (document.hidden) return
    events = new EventSource(list.dataset.stream)
    events.addEventListener('missed', (event) => { missed += JSON.parse(event.data).count })
    events.addEventListener('request', (event) => {
      seen += 1
      waiting.unshift(JSON.parse(event.data).html)
      waiting = waiting.slice(0, most)
    })
  }
  document.addEventListener('visibilitychange', watch)
  watch()
  setInterval(() => {
    const more = missed === 0 ? '' : ', ' + missed.toLocaleString('en') + ' not shown'
    rate.textContent = seen + missed === 0 ? '' : seen.toLocaleString('en') + ' since this view was opened' + more
    if (waiting.length === 0 || pause.getAttribute('aria-pressed') === 'true' || list.contains(document.activeElement)) return
    const limit = Number(list.dataset.most ?? most)
    const rows = document.createElement('template')
    rows.innerHTML = waiting.join('')
    waiting = []
    list.prepend(rows.content)
    live.querySelector('[data-empty]')?.remove()
    while (list.children.length > limit) list.lastElementChild.remove()
  }, 500)
}
`
