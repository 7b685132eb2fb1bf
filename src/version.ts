/** Of this library, for reports; test/version.test.ts holds it to package.json. A constant, as reading a file would not do. */
export const version = '0.1.0'
