import { html } from 'hono/html'
import { adminPage, emptyRow, headingRow, healthLine } from '../../lib/http/admin-app.ts'
import type { AgentStatus, RecentRefusal, UpstreamStatus } from './status.ts'

type Html = ReturnType<typeof html>

function upText(seconds: number): string {
  const hours = Math.floor(seconds / 3_600)
  if (hours >= 48) return `${Math.floor(hours / 24)} days`
  return hours > 0 ? `${hours} h` : `${Math.floor(seconds / 60)} min`
}

/** `2026-11-28 09:14:45`: to the second, which is enough to find it in a log. */
function moment(at: string): Html {
  return html`<time datetime="${at}">${at.slice(0, 19).replace('T', ' ')}</time>`
}

function upstreamRow(upstream: UpstreamStatus): Html {
  const { url, state, inFlight, answers, failures, lastFailure, secret, refusesSecrets } = upstream
  return html`<tr>
    <td><code>${url}</code></td>
    <td class="${state === 'up' ? '' : 'not-ready'}">${state}</td>
    <td>${inFlight}</td>
    <td>${answers}</td>
    <td>${failures}</td>
    <td>${refusesSecrets ? 'refuses ours' : secret}</td>
    <td>${lastFailure ? html`${moment(lastFailure.at)} ${lastFailure.why}` : ''}</td>
  </tr>`
}

const outcomeText: Readonly<Record<string, string>> = {
  relayed: 'from compute',
  cut_off: 'broke off',
  left: 'the guest left',
}

function refusalRow(refusal: RecentRefusal): Html {
  const { at, requestId, status, reason, outcome, scope, sourceIp, sourceMac, target } = refusal
  return html`<tr>
    <td>${moment(at)}</td>
    <td>${status === 0 ? '' : status} ${reason ?? outcomeText[outcome] ?? outcome}</td>
    <td><code>${scope ?? ''}</code></td>
    <td><code>${sourceIp ?? ''} ${sourceMac ?? ''}</code></td>
    <td><code>${target}</code></td>
    <td><code>${requestId}</code></td>
  </tr>`
}

/** The status as a page: no script, nothing from elsewhere, everything escaped. */
export async function statusPage(status: AgentStatus): Promise<string> {
  const { directory, cache, compute, rateLimit, listeners, upstreams, recentRefusals } = status
  const body = await html`
    <p>
      Version ${status.version}, process ${status.pid}, up ${upText(status.uptime)},
      ${Math.round(status.memory.rss / 2 ** 20)} MiB. Source MAC policy:
      <code>${status.sourceMac}</code>.
    </p>
    ${healthLine(status.health)}
    <h2>Port directory</h2>
    <p class="${directory.ready ? '' : 'not-ready'}">
      <code>${directory.kind}</code>: ${directory.ready ? 'ready' : 'not ready'}.
      ${directory.detail}
    </p>
    <p>
      Remembered: ${cache.found} identities, ${cache.refused} refusals; ${cache.openQueries} queries
      open.
    </p>
    <h2>Compute upstreams</h2>
    <p>
      ${compute.running} of ${compute.limit} requests on their way, ${compute.waiting} wait for
      their turn.
    </p>
    <table>
      ${headingRow(['Endpoint', 'State', 'In flight', 'Answers', 'Failures', 'Secret', 'Last failure'])}
      ${upstreams.map(upstreamRow)}
    </table>
    <h2>Listeners</h2>
    <table>
      ${headingRow(['Socket', 'Kind', 'Connections', 'Certificate ends'])}
      ${listeners.map(
        (one) =>
          html`<tr>
            <td><code>${one.socket}</code></td>
            <td>${one.kind}</td>
            <td>${one.connections}</td>
            <td>
              ${one.certificateEnds === undefined ? '–' : moment(one.certificateEnds)}
              ${one.refusedFiles ?? ''}
            </td>
          </tr>`,
      )}
    </table>
    <h2>Rate limit</h2>
    <p>${rateLimit.enabled ? (rateLimit.dryRun ? 'Counts only.' : 'On.') : 'Off.'}</p>
    ${
      rateLimit.offenders.length === 0
        ? ''
        : html`<table>
            ${headingRow(['Instance', 'Refusals'])}
            ${rateLimit.offenders.map(
              (one) =>
                html`<tr>
                  <td><code>${one.instanceId}</code></td>
                  <td>${one.refused}</td>
                </tr>`,
            )}
          </table>`
    }
    <h2>Latest refusals</h2>
    <p><code>overlapd explain --request ID</code> says more about each. Times are in UTC.</p>
    <table>
      ${headingRow(['When', 'Answer', 'Scope', 'Source', 'Target', 'Request'])}
      ${recentRefusals.length === 0 ? emptyRow(6) : recentRefusals.map(refusalRow)}
    </table>
  `
  return adminPage('overlapd-agent', String(body))
}
