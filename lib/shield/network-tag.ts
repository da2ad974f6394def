/** Which tags of a network are for the shield? */
import type { Count } from '../runtime/clock.ts'

/** How they begin. */
export const shieldTagPrefix = 'overlapd:'

/** So many of a network are read; 30 have a meaning. */
export const mostShieldTags: Count = 64

/** As Neutron bounds them. @see neutron/extensions/tagging.py, MAX_TAG_LEN */
export const longestTag: Count = 255
