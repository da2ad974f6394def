/**
 * In which mode the suites run: `OVERLAPD_TEST_FORWARDING=direct` lets every agent of a test grant leases, unless the test itself
 * decides. Workers request them wherever there are any.
 */
export function testsDirectForwarding(): boolean {
  const mode = process.env['OVERLAPD_TEST_FORWARDING'] ?? 'agent'
  if (mode !== 'agent' && mode !== 'direct') {
    throw new Error(`OVERLAPD_TEST_FORWARDING is "${mode}"; it may be agent or direct`)
  }
  return mode === 'direct'
}
