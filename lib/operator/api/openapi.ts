/** How do programs learn what an admin socket answers? OpenAPI 3.1, made from the schemas that the tests hold the daemons to. */
import type { Daemon } from '../../config/defaults.ts'
import { z } from '../../files/schema.ts'
import { packageVersion } from '../../runtime/package-version.ts'
import { adminApiVersion } from '../../http/admin-api-version.ts'
import { agentApi } from './agent-api.ts'
import { commandForms } from './command-forms.ts'
import type { ApiAnswer, ApiEndpoint } from './endpoint.ts'
import { proxyApi } from './proxy-api.ts'

/** The endpoints of each daemon. */
export const apis: Readonly<Record<Daemon, readonly ApiEndpoint[]>> = {
  proxy: proxyApi,
  agent: agentApi,
}

/** The description of one daemon's admin socket. */
export function openApi(daemon: Daemon): unknown {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const endpoint of apis[daemon]) {
    paths[endpoint.path] = { ...paths[endpoint.path], [endpoint.method]: operation(endpoint) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `Admin socket of overlapd-${daemon}`,
      version: adminApiVersion,
      description: `Of overlapd ${packageVersion()}. Every answer has the version in X-Overlapd-Api. A new version may take fields away; fields are added without one, so readers leave out what they do not know.`,
    },
    paths,
  }
}

/** The form of what each command prints with `--json`, as JSON Schema by the name of program and command. */
export function commandSchemas(): unknown {
  const schemas = Object.entries(commandForms).map(([name, form]) => [name, jsonSchema(form)])
  return { api: adminApiVersion, commands: Object.fromEntries(schemas) }
}

function operation({ summary, query = [], body, answers }: ApiEndpoint): unknown {
  return {
    summary,
    ...(query.length > 0 && {
      parameters: query.map((name) => ({ name, in: 'query', schema: { type: 'string' } })),
    }),
    ...(body && {
      requestBody: { content: { 'application/json': { schema: jsonSchema(body) } } },
    }),
    responses: Object.fromEntries(
      Object.entries(answers).map(([status, answer]) => [status, response(status, answer)]),
    ),
  }
}

function response(status: string, answer: ApiAnswer): unknown {
  const description = status.startsWith('2') ? 'The answer.' : 'Why not.'
  const [contentType, schema] =
    'contentType' in answer ? [answer.contentType, answer.of] : ['application/json', answer]
  return {
    description,
    content: { [contentType]: schema === undefined ? {} : { schema: jsonSchema(schema) } },
  }
}

/** Open to fields that come later, though the tests hold today's daemons to those that are described. */
function jsonSchema(schema: z.ZodType): unknown {
  return z.toJSONSchema(schema, {
    override: ({ jsonSchema: made }) => {
      if (made.additionalProperties === false) delete made.additionalProperties
      delete made.$schema
    },
  })
}
