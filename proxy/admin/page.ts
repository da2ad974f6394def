/** How does a person see in a browser how this proxy stands? */
import { html } from 'hono/html'
import { adminPage, emptyRow, headingRow, healthLine } from '../../lib/http/admin-app.ts'
import type { ProxyStatus, ServedNamespace } from './status.ts'

type Html = ReturnType<typeof html>

/** A busy host has thousands of namespaces; those with trouble come first. */
const shownNamespaces = 500

function hasTrouble({ state, why, interception, canary }: ServedNamespace): boolean {
  return state !== 'serving' || why !== undefined || interception === 'failed' || canary === 'down'
}

function namespaceRow(one: ServedNamespace): Html {
  const { netns, scope, state, listeners, interception, canary, why } = one
  return html`<tr>
    <td><code>${netns}</code></td>
    <td><code>${scope}</code></td>
    <td class="${hasTrouble(one) ? 'not-ready' : ''}">${state}</td>
    <td><code>${listeners.join(' ')}</code></td>
    <td>${interception ?? '–'}</td>
    <td>${canary ?? '–'}</td>
    <td>${why ?? ''}</td>
  </tr>`
}

/** The status as a page: no script, nothing from elsewhere, everything escaped. */
export async function proxyPage(status: ProxyStatus): Promise<string> {
  const { version, pid, agents, certificate, namespaces, refused, workers } = status
  const sorted = [...namespaces.filter(hasTrouble), ...namespaces.filter((one) => !hasTrouble(one))]
  const shown = sorted.slice(0, shownNamespaces)
  const body = await html`
    <p>Version ${version}, process ${pid}.</p>
    ${healthLine(status.health)}
    <h2>Namespaces</h2>
    <p>
      ${namespaces.length} in all, ${namespaces.filter(hasTrouble).length} with trouble,
      ${refused.length} refused.
      ${
        shown.length < namespaces.length
          ? `The first ${shown.length} are shown; "overlapd-proxy list" has all.`
          : ''
      }
    </p>
    <table>
      ${headingRow(['Namespace', 'Scope', 'State', 'Listens on', 'Redirection', 'Canary', 'Why'])}
      ${refused.map(
        ({ netns, why }) =>
          html`<tr>
            <td><code>${netns}</code></td>
            <td></td>
            <td class="not-ready">refused</td>
            <td></td>
            <td></td>
            <td></td>
            <td>${why}</td>
          </tr>`,
      )}
      ${shown.map(namespaceRow)} ${shown.length + refused.length === 0 ? emptyRow(7) : ''}
    </table>
    <h2>Agents</h2>
    <table>
      ${headingRow(['Agent', 'Workers that reach it', 'That do not', 'Answered last', 'Last failure'])}
      ${agents.map(
        ({ agent, up, down, answering, lastFailure }) =>
          html`<tr>
            <td><code>${agent}</code></td>
            <td>${up}</td>
            <td class="${down > 0 ? 'not-ready' : ''}">${down}</td>
            <td>${answering}</td>
            <td>${lastFailure ?? ''}</td>
          </tr>`,
      )}
    </table>
    ${
      certificate === undefined
        ? ''
        : html`<p>
            The certificate of this host ends at ${certificate.ends}.
            ${certificate.refusedFiles ?? ''}
          </p>`
    }
    <h2>Workers</h2>
    <table>
      ${headingRow(['Process', 'State', 'Since', 'Restarts'])}
      ${workers.map(
        ({ pid: worker, state, since, restarts }) =>
          html`<tr>
            <td>${worker}</td>
            <td class="${state === 'ready' ? '' : 'not-ready'}">${state}</td>
            <td>${since}</td>
            <td>${restarts}</td>
          </tr>`,
      )}
    </table>
  `
  return adminPage('overlapd-proxy', String(body))
}
