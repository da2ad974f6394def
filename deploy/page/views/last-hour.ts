/** How did the last hour go? Two small drawings, and the same as a table. */
import { html } from 'hono/html'
import type { Minute } from '../../../lib/observe/minute-history.ts'
import type { HostView } from '../host.ts'
import { count, moment, type Html } from './parts.ts'

const slots = 60
const width = 10
const height = 100

interface Tally {
  readonly served: number
  /** Status 4xx: refused by overlapd, or by compute. */
  readonly refused: number
  /** 5xx, or no answer at all. */
  readonly failed: number
}

function tallyOf({ answers }: Minute): Tally {
  const sum = (classes: readonly string[]): number =>
    classes.reduce((all, one) => all + (answers[one] ?? 0), 0)
  return { served: sum(['1xx', '2xx', '3xx']), refused: sum(['4xx']), failed: sum(['5xx', 'none']) }
}

/** What guests got comes from the proxy, and how long it took from the agent; each stands in for the other. */
export function lastHour({ proxy, agent }: HostView): Html {
  const [outcomes, speeds] = [
    proxy.minutes.length > 0 ? proxy.minutes : agent.minutes,
    agent.minutes.length > 0 ? agent.minutes : proxy.minutes,
  ].map((minutes) => minutes.slice(-slots))
  return html`<section aria-labelledby="hour-title">
    <h2 id="hour-title">The last hour</h2>
    ${
      outcomes === undefined || speeds === undefined || outcomes.length + speeds.length === 0
        ? html`<p class="empty">The first minute is not over yet.</p>`
        : html`<div class="plots">${outcomesPlot(outcomes)}${latencyPlot(speeds)}</div>
            ${asTable(outcomes, speeds)}`
    }
  </section>`
}

function outcomesPlot(minutes: readonly Minute[]): Html {
  const tallies = minutes.map(tallyOf)
  const sum = (name: keyof Tally): number => tallies.reduce((all, one) => all + one[name], 0)
  const above = Math.max(0, ...tallies.map(({ served }) => served))
  const below = Math.max(0, ...tallies.map(({ refused, failed }) => refused + failed))
  const scale = height / Math.max(1, above + below)
  const line = above * scale
  const bars = tallies.map(({ served, refused, failed }, index) => {
    const x = (slots - minutes.length + index) * width + 1
    const bar = (kind: string, y: number, size: number): Html | '' =>
      size === 0
        ? ''
        : html`<rect
            class="${kind}"
            x="${x}"
            y="${y.toFixed(1)}"
            width="${width - 2}"
            height="${Math.max(1, size * scale).toFixed(1)}"
          />`
    return html`${bar('served', line - served * scale, served)}${bar('refused', line, refused)}${bar('failed', line + refused * scale, failed)}`
  })
  const words = `${count(sum('served'))} served, ${count(sum('refused'))} refused, ${count(sum('failed'))} failed`
  return html`<figure class="plot">
    <figcaption>
      <b>Answers a minute</b>
      <span class="legend"
        ><span class="served">${count(sum('served'))} served</span>
        <span class="refused">${count(sum('refused'))} refused (4xx)</span>
        <span class="failed">${count(sum('failed'))} failed (5xx, none)</span></span
      >
    </figcaption>
    <div class="frame">
      <span class="most">${count(above)}</span
      ><svg
        viewBox="0 0 ${slots * width} ${height}"
        preserveAspectRatio="none"
        role="img"
        aria-label="Answers a minute in the last hour: ${words}. At most ${count(above)} served in a minute."
      >
        ${bars}
        <path class="axis" d="M0 ${line.toFixed(1)}H${slots * width}" /></svg
      >${below === 0 ? '' : html`<span class="least">${count(below)}</span>`}
    </div>
    <p class="ends"><span>an hour ago</span><span>now</span></p>
  </figure>`
}

function latencyPlot(minutes: readonly Minute[]): Html {
  const most = Math.max(1, ...minutes.map(({ p99 = 0 }) => p99))
  // Latencies differ by powers of ten.
  const y = (span: number): number => height - (Math.log1p(span) / Math.log1p(most)) * (height - 4)
  const path = (name: 'median' | 'p99'): string =>
    minutes
      .map((minute, index): [number, number | undefined] => [
        (slots - minutes.length + index) * width + width / 2,
        minute[name],
      ])
      .reduce(
        ({ text, isDown }, [x, span]) =>
          span === undefined
            ? { text, isDown: false }
            : { text: `${text}${isDown ? 'L' : 'M'}${x} ${y(span).toFixed(1)}h0`, isDown: true },
        { text: '', isDown: false },
      ).text
  const latest = minutes.findLast(({ median }) => median !== undefined)
  return html`<figure class="plot">
    <figcaption>
      <b>Time to the answer</b>
      <span class="legend"
        ><span class="median">median ${spanText(latest?.median)}</span>
        <span class="p99">99 of 100 ${spanText(latest?.p99)}</span></span
      >
    </figcaption>
    <div class="frame">
      <span class="most">${spanText(most)}</span
      ><svg
        viewBox="0 0 ${slots * width} ${height}"
        preserveAspectRatio="none"
        role="img"
        aria-label="Time to the answer in the last hour, logarithmic. Latest: median at most ${spanText(latest?.median)}, 99 of 100 at most ${spanText(latest?.p99)}."
      >
        <path class="p99" d="${path('p99')}" />
        <path class="median" d="${path('median')}" />
        <path class="axis" d="M0 ${height}H${slots * width}" />
      </svg>
    </div>
    <p class="ends"><span>an hour ago</span><span>now</span></p>
  </figure>`
}

function spanText(span: number | undefined): string {
  if (span === undefined) return '–'
  return span >= 1_000 ? `${span / 1_000} s` : `${span} ms`
}

function asTable(outcomes: readonly Minute[], speeds: readonly Minute[]): Html {
  const rows = outcomes.toReversed().map((minute, back) => {
    const { served, refused, failed } = tallyOf(minute)
    const { median, p99 } = speeds.at(-1 - back) ?? {}
    return html`<tr>
      <th scope="row">${moment(minute.at)}</th>
      <td>${served}</td>
      <td>${refused}</td>
      <td>${failed}</td>
      <td>${spanText(median)}</td>
      <td>${spanText(p99)}</td>
    </tr>`
  })
  return html`<details id="hour-table">
    <summary>As a table</summary>
    <div class="wide" tabindex="0" role="region" aria-label="The last hour by minutes">
      <table>
        <thead>
          <tr>
            <th scope="col">Until</th>
            <th scope="col">Served</th>
            <th scope="col">Refused</th>
            <th scope="col">Failed</th>
            <th scope="col">Median</th>
            <th scope="col">99 of 100</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
  </details>`
}
