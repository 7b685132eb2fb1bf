// LINKTYPE_ values as files hold them, under the names that libpcap gives them. Those that turn up in practice.
const names = new Map<number, string>([
  [0, 'NULL'],
  [1, 'EN10MB'],
  [6, 'IEEE802'],
  [8, 'SLIP'],
  [9, 'PPP'],
  [10, 'FDDI'],
  [12, 'RAW'],
  [50, 'PPP_SERIAL'],
  [51, 'PPP_ETHER'],
  [101, 'RAW'],
  [104, 'C_HDLC'],
  [105, 'IEEE802_11'],
  [107, 'FRELAY'],
  [108, 'LOOP'],
  [113, 'LINUX_SLL'],
  [117, 'PFLOG'],
  [119, 'PRISM_HEADER'],
  [127, 'IEEE802_11_RADIO'],
  [187, 'BLUETOOTH_HCI_H4'],
  [189, 'USB_LINUX'],
  [192, 'PPI'],
  [195, 'IEEE802_15_4'],
  [220, 'USB_LINUX_MMAPPED'],
  [228, 'IPV4'],
  [229, 'IPV6'],
  [239, 'NFLOG'],
  [242, 'IPOIB'],
  [249, 'USBPCAP'],
  [276, 'LINUX_SLL2'],
])

// Filled in order, so that RAW is 101, the value of LINKTYPE_RAW, rather than the 12 of some old writers.
const values = new Map([...names].map(([value, name]) => [name, value]))

/** `'EN10MB'` for 1; `'LINKTYPE 147'` where we know no name. */
export function linkTypeName(value: number): string {
  return names.get(value) ?? `LINKTYPE ${value}`
}

export function linkTypeValue(name: string): number | undefined {
  return values.get(name)
}

export function linkTypeNames(): string[] {
  return [...values.keys()]
}
