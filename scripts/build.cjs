// `npm run build`: lib/ and the addon, with everything that they need.
'use strict'

require('./bootstrap.cjs').needEverything()
