import t from 'tap'
import { billOfMaterials } from '../../../deploy/packages/bill-of-materials.ts'
import { nodeVersion } from '../../../deploy/packages/node-release.ts'
import { projectRoot } from '../../support/source-files.ts'

t.test('the bill of materials names overlapd, its packages and its Node', async (t) => {
  const bill = JSON.parse(billOfMaterials(projectRoot, 1_700_000_000)) as {
    readonly components: readonly { readonly name: string; readonly version: string }[]
  }
  t.match(bill, {
    bomFormat: 'CycloneDX',
    serialNumber: undefined,
    metadata: {
      timestamp: '2023-11-14T22:13:20.000Z',
      component: { name: 'overlapd', type: 'application' },
    },
  })
  const names = bill.components.map(({ name }) => name)
  t.ok(names.includes('koffi'), 'a package of production')
  t.notOk(names.includes('typescript'), 'none of development')
  t.match(bill.components.at(-1), { name: 'node', version: nodeVersion })
})
