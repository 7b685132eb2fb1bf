#pragma once

#include <string>

// Faults of a disk, by the call: the linker leads every call that touches a file of a directory through here (the Makefile's
// --wrap). Not a stand-in for the disk: all other calls are the system's own.
namespace pcap_ring::testing {

struct Fault {
  std::string directory;  // whose files' calls count
  int at = 0;  // the call that it comes at, from 1 on
  int until = 0;  // and the last one, where it is an error
  int error = 0;  // 0: the process is killed, half way through where that can be
};

// For the calls from now on, which are counted from 1 on.
void SetFault(const Fault& fault);
// How many calls there were. Errors, if any, end here.
int EndFault();

}  // namespace pcap_ring::testing
