// Floods on calm traffic, packets of 64 bytes.
//
// PCAP_RING_FULL=1: every combination, five times; half an hour (tap's --timeout=0).

import { testSteps } from '../support/steps.js'

testSteps(64)
