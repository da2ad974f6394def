/** How is a database with a million ports made in less than a minute? Written as ovsdb-server's own log. @see ovsdb(5) */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { datapathRows, portRows, type Cloud, type TableRows } from './cloud-rows.ts'

const schemaFile = '/usr/share/ovn/ovn-sb.ovsschema'
/** Networks of one transaction. */
const networksPerRecord = 500

function record(value: unknown): string {
  const text = `${JSON.stringify(value)}\n`
  const hash = createHash('sha1').update(text).digest('hex')
  return `OVSDB JSON ${Buffer.byteLength(text)} ${hash}\n${text}`
}

/** Writes a standalone southbound database. */
export async function writeSouthboundFile(file: string, cloud: Cloud): Promise<void> {
  const out = createWriteStream(file, { mode: 0o600 })
  const write = async (value: unknown): Promise<void> => {
    if (!out.write(record(value))) await once(out, 'drain')
  }
  await write(JSON.parse(await readFile(schemaFile, 'utf8')))
  for (let from = 0; from < cloud.networks; from += networksPerRecord) {
    const to = Math.min(from + networksPerRecord, cloud.networks)
    await write({
      Datapath_Binding: datapathRows(from, to),
      Port_Binding: portsOf(cloud, from, to),
    })
  }
  out.end()
  await finished(out)
}

function portsOf(cloud: Cloud, from: number, to: number): TableRows {
  const rows: Record<string, TableRows[string]> = {}
  for (let network = from; network < to; network += 1) Object.assign(rows, portRows(cloud, network))
  return rows
}
