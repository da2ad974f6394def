/** What the tests ask Keystone itself, as its administrator. */

/** Who logs in, in the words of clouds.yaml. */
export interface KeystoneLogin {
  readonly auth_url: string
  readonly username: string
  readonly password: string
  readonly project_name: string
}

interface TokenShape {
  readonly token: {
    readonly user: { readonly id: string }
    readonly project: { readonly id: string }
  }
}

/** Everybody's domain. */
export const defaultDomain = 'default'

/** A session of somebody who may change everything. */
export class KeystoneApi {
  readonly token: string
  readonly userId: string
  readonly projectId: string
  readonly #url: string

  static async logIn(login: KeystoneLogin): Promise<KeystoneApi> {
    const domain = { id: defaultDomain }
    const user = { name: login.username, domain, password: login.password }
    const answer = await send(login.auth_url, '', 'POST', '/auth/tokens', {
      auth: {
        identity: { methods: ['password'], password: { user } },
        scope: { project: { name: login.project_name, domain } },
      },
    })
    const { token } = (await answer.json()) as TokenShape
    const header = answer.headers.get('x-subject-token') ?? ''
    return new KeystoneApi(login.auth_url, header, token)
  }

  private constructor(url: string, token: string, { user, project }: TokenShape['token']) {
    this.#url = url
    this.token = token
    this.userId = user.id
    this.projectId = project.id
  }

  /** @throws Error with what Keystone said */
  async send(method: 'PATCH' | 'PUT' | 'DELETE', path: string, body?: object): Promise<void> {
    await (await send(this.#url, this.token, method, path, body)).text()
  }

  /** Makes a thing of a kind. @returns its id */
  async make(path: string, kind: string, body: object): Promise<string> {
    const answer = await send(this.#url, this.token, 'POST', path, { [kind]: body })
    return ((await answer.json()) as Record<string, { readonly id: string }>)[kind]?.id ?? ''
  }

  /** Makes a user who has a role on a project. @returns its id */
  async user(name: string, password: string, role: string, projectId: string): Promise<string> {
    const id = await this.make('/users', 'user', { name, password, domain_id: defaultDomain })
    const answer = await send(this.#url, this.token, 'GET', `/roles?name=${role}`)
    const { roles } = (await answer.json()) as { roles: readonly { readonly id: string }[] }
    await this.send('PUT', `/projects/${projectId}/users/${id}/roles/${roles[0]?.id ?? ''}`)
    return id
  }
}

async function send(
  url: string,
  token: string,
  method: string,
  path: string,
  body?: object,
): Promise<Response> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', 'x-auth-token': token },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return answer
}
