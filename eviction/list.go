package eviction

import "github.com/cirquecache/cirque/eviction/internal/table"

// list is a doubly linked list of nodes. The links are node numbers in Aux.
type list struct {
	table       *table.Table
	front, back uint32
	len         int
}

const (
	linkPrev = 0 // towards the front
	linkNext = 1
)

func (l *list) pushFront(n *table.Node, id uint32) {
	n.Aux[linkPrev], n.Aux[linkNext] = 0, l.front
	if l.front != 0 {
		l.table.At(l.front).Aux[linkPrev] = id
	} else {
		l.back = id
	}
	l.front = id
	l.len++
}

func (l *list) pushBack(n *table.Node, id uint32) {
	n.Aux[linkPrev], n.Aux[linkNext] = l.back, 0
	if l.back != 0 {
		l.table.At(l.back).Aux[linkNext] = id
	} else {
		l.front = id
	}
	l.back = id
	l.len++
}

func (l *list) remove(n *table.Node) {
	prev, next := n.Aux[linkPrev], n.Aux[linkNext]
	if prev != 0 {
		l.table.At(prev).Aux[linkNext] = next
	} else {
		l.front = next
	}
	if next != 0 {
		l.table.At(next).Aux[linkPrev] = prev
	} else {
		l.back = prev
	}
	n.Aux = [2]uint32{}
	l.len--
}

func (l *list) moveToFront(n *table.Node, id uint32) {
	if l.front != id {
		l.remove(n)
		l.pushFront(n, id)
	}
}

// appendPlaces appends the nodes from front to back. A node's rank is its index in places.
func (l *list) appendPlaces(places []place) []place {
	for id := l.front; id != 0; id = l.table.At(id).Aux[linkNext] {
		places = append(places, place{rank: uint64(len(places)), id: id})
	}
	return places
}
