"""The Xtream Codes admin API and its streaming nodes; the panel's customers and portals are others' business."""
