// Whether something holds a secret, in any form that one takes by accident.

import { inspect } from 'node:util'

export function holderOf(secret: Buffer): (text: string) => boolean {
  const hex = secret.toString('hex')
  const forms = [
    secret.toString('latin1'),
    secret.toString('base64').slice(0, 12),
    ...(['base64', 'base64url'] as const).map((form) => secret.toString(form).replace(/=+$/, '')),
    hex,
    // As a Buffer shows itself.
    hex.replace(/../g, '$& ').trim(),
  ].map((form) => form.toLowerCase())
  return (text) => forms.some((form) => text.toLowerCase().includes(form))
}

/** All that a log could show of it. */
export const shown = (one: unknown): string =>
  typeof one === 'string'
    ? one
    : inspect(one, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null })
