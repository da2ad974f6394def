import t from 'tap'
import { helpEnding, helpItem } from '../../../lib/cli/help.ts'

t.test('helpItem() puts a description beside its term where there is room', async (t) => {
  t.equal(helpItem('--json', 8, 'print JSON', 80), '  --json    print JSON')
  t.equal(
    helpItem('--json', 8, 'print JSON instead of a table for programs', 44),
    '  --json    print JSON instead of a table\n            for programs',
  )
  t.equal(helpItem('--json', 8, '', 80), '  --json')
})

t.test('helpItem() puts a description below its term on a narrow terminal', async (t) => {
  t.equal(
    helpItem('-c, --config <file>', 22, 'YAML file; of several the later ones win', 40),
    '  -c, --config <file>\n      YAML file; of several the later\n      ones win',
  )
})

t.test('helpEnding() breaks no call of an example, however narrow the terminal', async (t) => {
  const call = 'overlapd explain --router 5b2e --ip 10.0.0.10'
  t.equal(
    helpEnding(40, [[call, 'who is that?']], [[0, 'found']]),
    `\nExamples:\n  ${call}\n      who is that?\n\nExit codes:\n  0  found`,
  )
})
