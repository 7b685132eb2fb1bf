# The addon. The core's rooms and the binding are compiled together; native/Makefile builds the core alone for its tests.
{
  'targets': [
    {
      'target_name': 'pcap_ring',
      'conditions': [
        ['OS=="linux"', {
          'sources': [
            # A glob, so that a new file needs no entry here. node-gyp evaluates it at every configure.
            '<!@(node -p "[\'base\',\'source\',\'ring\',\'traffic\',\'engine\',\'output\',\'incident\',\'binding\'].flatMap(room=>{try{return fs.readdirSync(\'native/\'+room).filter(f=>f.endsWith(\'.cc\')).sort().map(f=>\'native/\'+room+\'/\'+f)}catch{return[]}}).join(\' \')")',
          ],
          'include_dirs': [
            'native',
            # In a clone the development dependency; in the published package the copy that prepack made.
            '<!(node -p "try{require(\'node-addon-api\').include_dir}catch{\'vendor/node-addon-api\'}")',
          ],
          # The last: a worker that is terminated inside a listener must not take the process along.
          'defines': [
            'NAPI_VERSION=9',
            'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
            'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
          ],
          'cflags!': ['-O3'],
          'cflags': ['-O2', '-fvisibility=hidden', '-pthread'],
          # Node's own headers bring an older standard and -fno-exceptions; only the standard is replaced.
          'cflags_cc!': ['-std=gnu++17', '-std=gnu++1y', '-std=gnu++20'],
          'cflags_cc': ['-std=c++20', '-Wall', '-Wextra', '-fvisibility-inlines-hidden'],
          'libraries': ['<!@(pcap-config --libs 2>/dev/null || echo -lpcap)', '-pthread'],
        }, {
          # Elsewhere there is nothing to compile, and npm install must not fail for it.
          'type': 'none',
        }],
      ],
    },
  ],
}
