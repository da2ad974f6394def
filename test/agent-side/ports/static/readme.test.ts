import { readFile } from 'node:fs/promises'
import t from 'tap'
import { parseTopology } from '../../../../agent-side/ports/static/read-topology.ts'

for (const page of ['ports/static/FILE.md', 'compute-dev/README.md']) {
  t.test(`The samples of ${page} can be used as they are`, async (t) => {
    const url = new URL(`../../../../agent-side/${page}`, import.meta.url)
    const text = await readFile(url, 'utf8')
    const samples = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)]
    t.ok(samples.length > 1)
    for (const [, sample = ''] of samples) t.ok(parseTopology(sample, page).networks.size >= 0)
  })
}
