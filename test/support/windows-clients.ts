/** What do metadata clients of guests with Windows send? */
import {
  bareIpv6Host as bare,
  head,
  pythonRequests,
  type RecordedClient,
} from './client-requests.ts'

const powershell =
  'Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1682'
const windowsRequests = 'python-requests/2.31.0'
const secret = 'c2VjcmV0'

/** Of guests with Windows, which send with a hop limit of 128. */
export const windowsClients: readonly RecordedClient[] = [
  {
    family: 'cloudbase-init',
    source:
      'cloudbase/cloudbase-init, metadata/services/base.py and httpservice.py, utils/network.py; bytes of python-requests',
    ipv6Host: bare,
    requests: [
      head(
        'GET / HTTP/1.1',
        'Accept-Encoding: identity',
        'Host: {host}',
        'User-Agent: Python-urllib/3.8',
        'Connection: close',
      ),
      ...[
        'GET /openstack/latest/meta_data.json',
        'GET /openstack/latest/user_data',
        'GET /openstack/2013-04-04/password',
      ].map((target) => pythonRequests(windowsRequests, target)),
      pythonRequests(
        windowsRequests,
        'POST /openstack/2013-04-04/password',
        `Content-Length: ${secret.length}`,
      ) + secret,
    ],
  },
  {
    family: 'Windows PowerShell',
    source:
      'PowerShell/PowerShell, WebCmdlet/PSUserAgent.cs; the order of the headers is that of HttpWebRequest of .NET Framework',
    ipv6Host: bare,
    keepsConnection: true,
    requests: ['GET /openstack/latest/meta_data.json', 'GET /latest/user-data'].map((target) =>
      head(
        `${target} HTTP/1.1`,
        `User-Agent: ${powershell}`,
        'Host: {host}',
        'Connection: Keep-Alive',
      ),
    ),
  },
]
