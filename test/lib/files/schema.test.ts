import t from 'tap'
import { schemaProblems, z } from '../../../lib/files/schema.ts'

const schema = z.strictObject({ ports: z.array(z.strictObject({ mac: z.string(), mtu: z.int() })) })

function problems(value: unknown) {
  const outcome = schema.safeParse(value)
  return outcome.success ? [] : schemaProblems(outcome.error)
}

t.test('schemaProblems() reports every problem with its place', async (t) => {
  t.strictSame(problems({ ports: [{ mac: 'a', mtu: 1 }] }), [])
  t.match(
    problems({
      ports: [
        { mac: 'a', mtu: 1 },
        { mac: 5, mtu: 1.5, mut: 1 },
      ],
      extra: 1,
    }),
    [
      { keys: ['ports', 1, 'mac'], message: /expected string/ },
      { keys: ['ports', 1, 'mtu'], message: /expected int/ },
      { keys: ['ports', 1, 'mut'], message: 'unknown key' },
      { keys: ['extra'], message: 'unknown key' },
    ],
  )
  t.match(problems(null), [{ keys: [], message: /expected object/ }])
})
