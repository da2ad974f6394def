import { html } from 'hono/html'
import { adminPage } from '../../lib/http/admin-app.ts'
import type { AgentStatus, RecentRefusal, UpstreamStatus } from './status.ts'

type Html = ReturnType<typeof html>

function upstreamRow(upstream: UpstreamStatus): Html {
  const { url, state, inFlight, answers, failures, lastFailure, secret, refusesSecrets } = upstream
  const last = lastFailure ? `${lastFailure.at} ${lastFailure.why}` : ''
  return html`<tr>
    <td><code>${url}</code></td>
    <td class="${state === 'up' ? '' : 'not-ready'}">${state}</td>
    <td>${inFlight}</td>
    <td>${answers}</td>
    <td>${failures}</td>
    <td>${refusesSecrets ? 'refuses ours' : secret}</td>
    <td>${last}</td>
  </tr>`
}

function refusalRow(refusal: RecentRefusal): Html {
  const { at, requestId, status, reason, outcome, scope, sourceIp, sourceMac, target } = refusal
  return html`<tr>
    <td>${at}</td>
    <td>${status === 0 ? '' : status} ${reason ?? outcome}</td>
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
      Version ${status.version}, process ${status.pid}, up ${status.uptime} s,
      ${Math.round(status.memory.rss / 2 ** 20)} MiB. Source MAC policy:
      <code>${status.sourceMac}</code>.
    </p>
    <h2>Port directory</h2>
    <p class="${directory.ready ? '' : 'not-ready'}">
      <code>${directory.kind}</code>: ${directory.ready ? 'ready' : 'not ready'}.
      ${directory.detail}
    </p>
    <p>
      Remembered: ${cache.found} identities, ${cache.refused} refusals; ${cache.openQuestions}
      questions open.
    </p>
    <h2>Compute upstreams</h2>
    <p>
      ${compute.running} of ${compute.limit} requests on their way, ${compute.waiting} wait for
      their turn.
    </p>
    <table>
      <tr>
        <th>Endpoint</th>
        <th>State</th>
        <th>In flight</th>
        <th>Answers</th>
        <th>Failures</th>
        <th>Secret</th>
        <th>Last failure</th>
      </tr>
      ${upstreams.map(upstreamRow)}
    </table>
    <h2>Listeners</h2>
    <table>
      <tr>
        <th>Socket</th>
        <th>Kind</th>
        <th>Connections</th>
      </tr>
      ${listeners.map(
        (one) =>
          html`<tr>
            <td><code>${one.socket}</code></td>
            <td>${one.kind}</td>
            <td>${one.connections}</td>
          </tr>`,
      )}
    </table>
    <h2>Rate limit</h2>
    <p>${rateLimit.enabled ? (rateLimit.dryRun ? 'Counts only.' : 'On.') : 'Off.'}</p>
    <table>
      <tr>
        <th>Instance</th>
        <th>Refusals</th>
      </tr>
      ${rateLimit.offenders.map(
        (one) =>
          html`<tr>
            <td><code>${one.instanceId}</code></td>
            <td>${one.refused}</td>
          </tr>`,
      )}
    </table>
    <h2>Latest refusals</h2>
    <p>"overlapd explain --request ID" says more about each.</p>
    <table>
      <tr>
        <th>When</th>
        <th>Answer</th>
        <th>Scope</th>
        <th>Source</th>
        <th>Target</th>
        <th>Request</th>
      </tr>
      ${recentRefusals.map(refusalRow)}
    </table>
  `
  return adminPage('overlapd-agent', String(body))
}
