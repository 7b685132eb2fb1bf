// Floods on calm traffic, packets of 1514 bytes, where the kernel loses some of a flood that goes flat out.
//
// PCAP_RING_FULL=1: every combination, five times; half an hour (tap's --timeout=0).

import { testSteps } from '../support/steps.js'

testSteps(1_514)
