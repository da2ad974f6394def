/** How does the page look: light and dark, from the phone to the wide screen? */
export const pageStyle = `:root {
  color-scheme: light dark;
  --ground: #f5f6f8; --surface: #fff; --ink: #1b212a; --quiet: #566070; --line: #d9dee5; --faint: #eef1f4;
  --link: #1f55b5; --good: #1b6b3a; --care: #825300; --bad: #b2261d;
  --good-ground: #e6f3ea; --care-ground: #faf0da; --bad-ground: #fbe9e7;
  --plot: #4a7bc8;
  --mono: ui-monospace, 'SF Mono', 'Cascadia Code', 'DejaVu Sans Mono', Menlo, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #101318; --surface: #181c23; --ink: #e7eaef; --quiet: #a0aab8; --line: #2d343f; --faint: #20262f;
    --link: #93b9ff; --good: #6fcf8f; --care: #e7b75a; --bad: #ff9387;
    --good-ground: #15301f; --care-ground: #33270f; --bad-ground: #3a1b19;
    --plot: #6d9ae0;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; }
h1, h2, h3, p, ol, ul, dl, dd, figure { margin: 0; padding: 0; }
ol, ul { list-style: none; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -0.015em; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 1.125rem; line-height: 1.35; font-weight: 650; }
h3 { font-size: 0.9375rem; font-weight: 600; }
a { color: var(--link); text-underline-offset: 0.2em; text-decoration-thickness: 1px; }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 3px; }
main:focus { outline: none; }
code, .code { font-family: var(--mono); font-size: 0.875em; overflow-wrap: anywhere; }
.small { color: var(--quiet); font-size: 0.875rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 0.5rem; top: 0.5rem; z-index: 1; background: var(--surface); padding: 0.5rem 1rem; }
.icon { width: 1em; height: 1em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
.inner, main { width: 100%; max-width: 84rem; margin-inline: auto; padding-inline: clamp(1rem, 3vw, 2rem); }
.top { background: var(--surface); border-bottom: 1px solid var(--line); }
.top .inner { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 2rem; padding-block: 0.5rem; }
.brand a { color: inherit; font-weight: 700; text-decoration: none; letter-spacing: -0.01em; }
.host { color: var(--quiet); font-family: var(--mono); font-size: 0.875rem; overflow-wrap: anywhere; }
.top nav ul { display: flex; flex-wrap: wrap; gap: 0 1.25rem; }
.top nav a, .tabs a { display: inline-block; padding: 0.5rem 0; color: var(--quiet); text-decoration: none; border-bottom: 2px solid transparent; }
.top nav a:hover, .tabs a:hover { color: var(--ink); border-color: var(--line); }
.top nav a[aria-current], .tabs a[aria-current] { color: var(--ink); border-color: var(--link); font-weight: 600; }
.tabs { display: flex; gap: 1.25rem; border-bottom: 1px solid var(--line); }
form { display: flex; gap: 0.5rem; margin-left: auto; flex: 0 1 22rem; }
input, button { font: inherit; font-size: 0.9375rem; color: inherit; background: var(--ground); border: 1px solid var(--quiet); border-radius: 6px; padding: 0.35rem 0.7rem; min-height: 2.25rem; }
input { flex: 1; min-width: 0; }
input::placeholder { color: var(--quiet); opacity: 1; }
button { cursor: pointer; background: var(--surface); }
button:hover { background: var(--faint); }
button[aria-pressed='true'] { background: var(--ink); color: var(--surface); }
main { display: block; padding-block: clamp(1.25rem, 3vw, 2.25rem) 2rem; }
main > * + * { margin-top: 1rem; }
main > [data-live] + *, main > .columns { margin-top: clamp(1.75rem, 3.5vw, 2.75rem); }
section > h2 { margin-bottom: 0.75rem; }
h2 + .small { margin-top: -0.5rem; margin-bottom: 0.75rem; }
footer { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0.25rem 2rem; color: var(--quiet); font-size: 0.875rem; padding-block: 1rem 2rem; }

.badge { display: inline-flex; align-items: center; gap: 0.35em; font-weight: 600; font-size: 0.875rem; white-space: nowrap; }
.badge.ready, .icon.ready { color: var(--good); }
.badge.degraded, .icon.degraded { color: var(--care); }
.badge.not_ready, .icon.not_ready, .badge.unknown { color: var(--bad); }
.badge.quiet { color: var(--quiet); font-weight: 400; }
.badge.quiet .icon { color: var(--quiet); }
.named { display: inline-flex; align-items: center; gap: 0.35em; flex-wrap: wrap; overflow-wrap: anywhere; }
.named .icon { color: var(--quiet); }

.health { border-left: 5px solid var(--good); background: var(--surface); border-radius: 4px 10px 10px 4px; padding: 1.25rem clamp(1rem, 2.5vw, 1.75rem); box-shadow: 0 0 0 1px var(--line); }
.health.degraded { border-color: var(--care); }
.health.not_ready, .health.unknown { border-color: var(--bad); }
.verdict h1 { margin-block: 0.15rem 0.25rem; }
.verdict .badge { font-size: 0.9375rem; }
.proof { color: var(--quiet); }
.problem { margin-top: 1rem; padding-top: 1rem; border-top: 1px solid var(--line); max-width: 75ch; overflow-wrap: anywhere; }
.problem h2 { display: flex; flex-wrap: wrap; gap: 0 0.6em; align-items: baseline; font-size: 1rem; margin-bottom: 0.25rem; }
.problem dl { margin-block: 0.5rem; display: grid; gap: 0.35rem; }
.problem dl div { display: grid; grid-template-columns: 6.5rem 1fr; gap: 0.75rem; }
dt { color: var(--quiet); font-size: 0.875rem; }

.stations { display: grid; grid-template-columns: repeat(5, 1fr); background: var(--surface); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.station { position: relative; padding: 0.9rem 1rem 1rem 1.5rem; display: flex; flex-direction: column; gap: 0.1rem; min-width: 0; }
.station + .station { border-left: 1px solid var(--line); }
.station + .station::before { content: ''; position: absolute; left: -6px; top: calc(50% - 6px); width: 11px; height: 11px; background: var(--surface); border: solid var(--line); border-width: 1px 1px 0 0; transform: rotate(45deg); }
.station h3 { color: var(--quiet); font-weight: 500; font-size: 0.875rem; }
.figure { font-size: 1.375rem; font-weight: 650; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; line-height: 1.3; overflow-wrap: anywhere; }
.station .badge { margin-top: auto; padding-top: 0.5rem; }
.station.degraded { background: var(--care-ground); }
.station.not_ready, .station.unknown { background: var(--bad-ground); }

.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
.plot { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 0.9rem 1rem; }
.plot figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0.1rem 1rem; font-size: 0.875rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0 1rem; color: var(--quiet); font-variant-numeric: tabular-nums; }
.legend span::before { content: ''; display: inline-block; width: 0.7em; height: 0.7em; margin-right: 0.4em; border-radius: 2px; background: var(--plot); }
.legend .refused::before { background: var(--care); }
.legend .failed::before { background: var(--bad); border-radius: 50%; }
.legend .median::before { height: 3px; vertical-align: 0.25em; width: 1.1em; }
.legend .p99::before { height: 0; width: 1.1em; background: none; border-top: 2px dashed var(--quiet); border-radius: 0; vertical-align: 0.25em; }
.frame { position: relative; margin-top: 0.6rem; }
.plot svg { display: block; width: 100%; height: 7.5rem; }
.plot rect.served { fill: var(--plot); }
.plot rect.refused { fill: var(--care); }
.plot rect.failed { fill: var(--bad); }
.plot path { fill: none; vector-effect: non-scaling-stroke; stroke-linecap: round; stroke-linejoin: round; }
.plot path.axis { stroke: var(--line); stroke-width: 1px; }
.plot path.median { stroke: var(--plot); stroke-width: 2.5px; }
.plot path.p99 { stroke: var(--quiet); stroke-width: 1.5px; stroke-dasharray: 4 4; }
.most, .least { position: absolute; left: 0; font-size: 0.75rem; color: var(--quiet); background: var(--surface); padding-right: 0.3rem; font-variant-numeric: tabular-nums; }
.most { top: -0.2rem; }
.least { bottom: -0.2rem; }
.ends { display: flex; justify-content: space-between; color: var(--quiet); font-size: 0.75rem; margin-top: 0.25rem; }
details { margin-top: 0.5rem; }
summary { cursor: pointer; color: var(--link); font-size: 0.875rem; width: fit-content; }
.wide { overflow-x: auto; max-height: 20rem; margin-top: 0.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.875rem; }
th, td { text-align: right; padding: 0.2rem 1.25rem 0.2rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; font-weight: 400; }
thead th { color: var(--quiet); font-weight: 500; }

.group + .group { margin-top: 1.5rem; }
.group > :first-child { display: flex; align-items: baseline; gap: 0.75rem; margin-bottom: 0.5rem; }
.group > :first-child code { font-size: 1.125rem; font-weight: 650; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: 0.75rem; }
.guest { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 0.8rem 1rem; display: flex; flex-direction: column; gap: 0.5rem; min-width: 0; }
.guest .small { display: flex; justify-content: space-between; gap: 0.75rem; }
.chain li { display: flex; align-items: center; gap: 0.5rem; position: relative; padding-block: 0.12rem; min-width: 0; }
.chain li + li::before { content: ''; position: absolute; left: calc(0.5em - 0.75px); top: -0.32rem; height: 0.64rem; border-left: 1.5px solid var(--line); }
.chain .icon { color: var(--quiet); }
.chain .kind { color: var(--quiet); font-size: 0.875rem; width: 4.3rem; flex: none; }
.chain li:last-child code { font-weight: 700; }
.last { display: flex; flex-wrap: wrap; gap: 0 0.6rem; align-items: baseline; margin-top: auto; padding-top: 0.45rem; border-top: 1px solid var(--line); font-size: 0.875rem; }
.titled h2 { margin-bottom: 0.35rem; }
.more { margin-top: 0.75rem; font-size: 0.9375rem; }
.note { background: var(--care-ground); border-radius: 6px; padding: 0.5rem 0.75rem; font-size: 0.9375rem; overflow-wrap: anywhere; }
.empty { color: var(--quiet); padding-block: 0.5rem; }

.columns { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 1fr); gap: 1.5rem 2.5rem; align-items: start; }
.live { min-width: 0; }
.controls { display: flex; align-items: center; gap: 0.75rem; min-height: 2.5rem; margin-bottom: 0.5rem; }
.requests { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.requests:not(:has(li)) { display: none; }
.request { display: grid; grid-template-columns: 4.6rem 10.5rem minmax(0, 1fr) 5rem 5.5rem; grid-template-areas: 'when got what span why' '. got who who who'; gap: 0 1rem; padding: 0.5rem 1rem; align-items: baseline; font-size: 0.9375rem; }
.request + .request { border-top: 1px solid var(--line); }
.when { grid-area: when; color: var(--quiet); font-variant-numeric: tabular-nums; }
.got { grid-area: got; overflow-wrap: anywhere; } .what { grid-area: what; } .who { grid-area: who; color: var(--quiet); font-size: 0.875rem; display: flex; flex-wrap: wrap; gap: 0 1rem; } .span { grid-area: span; text-align: right; color: var(--quiet); font-variant-numeric: tabular-nums; font-size: 0.875rem; } .why { grid-area: why; text-align: right; }
.tally li { display: flex; gap: 0.75rem; padding-block: 0.3rem; border-bottom: 1px solid var(--line); align-items: baseline; }
.tally b { font-variant-numeric: tabular-nums; min-width: 2rem; text-align: right; }

.namespaces { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 0.75rem; }
.namespace { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 0.8rem 1rem; display: grid; gap: 0.25rem; align-content: start; min-width: 0; }
.namespace h2 { font-size: 1rem; }
.namespace p { display: flex; flex-wrap: wrap; gap: 0 0.9rem; }
.pages { display: flex; justify-content: space-between; gap: 1rem; margin-top: 1.5rem; }
.verdict-line { display: flex; gap: 0.75rem; align-items: baseline; flex-wrap: wrap; }
.steps { counter-reset: step; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; }
.sheet { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 0.6rem 1rem 1rem; }
.steps li { counter-increment: step; padding: 0.75rem 1rem 0.75rem 3.25rem; position: relative; }
.steps li + li { border-top: 1px solid var(--line); }
.steps li::before { content: counter(step); position: absolute; left: 1rem; top: 0.8rem; width: 1.5rem; height: 1.5rem; border-radius: 50%; border: 1px solid var(--quiet); display: grid; place-items: center; font-size: 0.8125rem; color: var(--quiet); }
.pairs { display: grid; gap: 0.3rem; margin-top: 0.4rem; }
.pairs div { display: grid; grid-template-columns: minmax(6.5rem, 10rem) minmax(0, 1fr); gap: 1rem; }
.pairs dd { overflow-wrap: anywhere; max-width: 80ch; }
main > h2 { margin-top: 2rem; }
h1 .icon { width: 0.8em; height: 0.8em; }
.codes { columns: 24rem; column-gap: 2.5rem; }
.codes div { break-inside: avoid; padding-block: 0.4rem; border-bottom: 1px solid var(--line); }
.codes dd { color: var(--quiet); font-size: 0.875rem; }

@media (max-width: 68rem) { .columns { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 52rem) {
  .stations { grid-template-columns: 1fr; }
  .station { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 1rem; padding: 0.7rem 1rem; align-items: baseline; }
  .station .badge { padding: 0; grid-column: 2; grid-row: 2; justify-self: end; align-self: start; margin: 0; }
  .station .figure { font-size: 1.125rem; grid-column: 2; grid-row: 1; text-align: right; }
  .station .small { grid-column: 1; grid-row: 2; }
  .station + .station { border-left: 0; border-top: 1px solid var(--line); }
  .station + .station::before { left: 1.25rem; top: -6px; transform: rotate(135deg); }
  form { flex-basis: 100%; margin-left: 0; }
  h1 { font-size: 1.5rem; }
  .request { grid-template-columns: auto 1fr auto; grid-template-areas: 'when span why' 'got got got' 'what what what' 'who who who'; gap: 0.1rem 1rem; }
  .span { text-align: left; }
}
@media (max-width: 30rem) {
  .problem dl div, .pairs div { grid-template-columns: 1fr; gap: 0; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
@media (forced-colors: active) { .plot rect { fill: CanvasText; } }
`
