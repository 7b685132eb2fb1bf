#include <arpa/inet.h>

#include "incident/file_traffic.h"
#include "incident/report.h"

namespace pcap_ring {
namespace {

std::string AddressText(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.size == 4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof text);
  return text;
}

void WriteSizes(JsonWriter* json, const FileTraffic& traffic) {
  json->Key("sizes").BeginArray();
  for (size_t i = 0; i < traffic.sizes().size(); ++i) {
    json->BeginObject().Key("upTo");
    if (i < FileTraffic::kUpTo.size()) {
      json->Uint(FileTraffic::kUpTo[i]);
    } else {
      json->Null();
    }
    json->Key("packets").Uint(traffic.sizes()[i]).EndObject();
  }
  json->EndArray();
}

void WriteAddresses(JsonWriter* json, const char* name, const AddressCounts& counts) {
  json->Key(name).BeginObject();
  json->Key("count").Uint(counts.Different()).Key("estimated").Bool(counts.estimated());
  json->Key("top").BeginArray();
  uint64_t other = counts.packets();
  for (const AddressCounts::Top& top : counts.MostPackets(FileTraffic::kTop)) {
    json->BeginObject().Key("address").String(AddressText(top.address));
    json->Key("packets").Uint(top.packets).Key("bytes").Uint(top.bytes).EndObject();
    other -= top.packets;
  }
  json->EndArray().Key("other").Uint(other).EndObject();
}

void WritePorts(JsonWriter* json, const PortCounts& ports) {
  struct Side {
    Endpoints::Transport transport;
    const char* proto;
    PortCounts::Side side;
    const char* name;
  };
  constexpr Side kSides[] = {
      {Endpoints::Transport::kTcp, "tcp", PortCounts::Side::kSource, "source"},
      {Endpoints::Transport::kTcp, "tcp", PortCounts::Side::kDestination, "destination"},
      {Endpoints::Transport::kUdp, "udp", PortCounts::Side::kSource, "source"},
      {Endpoints::Transport::kUdp, "udp", PortCounts::Side::kDestination, "destination"},
  };
  json->Key("ports").BeginArray();
  for (const Side& side : kSides) {
    for (const PortCounts::Top& top : ports.MostPackets(side.transport, side.side, FileTraffic::kTop)) {
      json->BeginObject().Key("proto").String(side.proto).Key("side").String(side.name);
      json->Key("port").Uint(top.port).Key("packets").Uint(top.packets).EndObject();
    }
  }
  json->EndArray();
}

}  // namespace

void WriteTraffic(JsonWriter* json, const FileTraffic& traffic, bool manual, Precision precision) {
  json->BeginObject();
  WriteProtocols(json, traffic.totals(), Mode::kCapture);
  WriteSizes(json, traffic);
  WriteAddresses(json, "sources", traffic.sources());
  WriteAddresses(json, "destinations", traffic.destinations());
  WritePorts(json, traffic.ports());
  json->Key("timeline").BeginArray();
  const SectionTimeline& timeline = traffic.timeline();
  for (const SectionTimeline::Slot& slot : timeline.slots()) {
    json->BeginObject().Key("at").String(FormatTime(timeline.StartNs(slot), precision));
    json->Key("packets").Uint(slot.packets).Key("bytes").Uint(slot.bytes);
    json->Key("section").String(SectionName(slot.section, manual)).EndObject();
  }
  json->EndArray().EndObject();
}

}  // namespace pcap_ring
